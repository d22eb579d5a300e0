import { type ZodArray, type ZodObject, type ZodType, z } from 'zod'

/**
 * The fields of wire schemas. Every one may be absent or null, for clients in Go write null for what is empty. A schema
 * gives the shape alone; which values are good is the rows' business.
 */

// Each schema takes kilobytes: fields of one type share all but their description.
const anyString = z.string().nullish()
const anyBoolean = z.boolean().nullish()
const anyInteger = z.int().meta({ format: 'int64' }).nullish()
const anyTime = z.string().meta({ format: 'date-time' }).nullish()
const anyMap = z.record(z.string(), z.string()).nullish()
const anything = z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true }).nullish()

export const string = (description: string) => anyString.describe(description)

export const boolean = (description: string) => anyBoolean.describe(description)

export const integer = (description: string) => anyInteger.describe(description)

/** RFC 3339. */
export const time = (description: string) => anyTime.describe(description)

/** Any object, whose fields no schema knows. */
export const anyObject = (description: string) => anything.describe(description)

/** Strings by name. */
export const stringMap = (description: string) => anyMap.describe(description)

/** An object of its own schema. */
export const object = <T extends ZodObject>(schema: T, description: string) => schema.nullish().describe(description)

/** A list that is replaced as a whole. */
export const atomicList = <T extends ZodType>(element: T, description: string) =>
  marked(z.array(element), { 'x-kubernetes-list-type': 'atomic' }, description)

/** A list of values of which none is twice; patches add to it. */
export const setList = <T extends ZodType>(element: T, description: string) =>
  marked(z.array(element), { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' }, description)

/** A list whose elements are told apart by the field `key`; patches merge them. */
export const mapList = <T extends ZodObject>(element: T, key: string & keyof T['shape'], description: string) =>
  marked(
    z.array(element),
    {
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': [key],
      'x-kubernetes-patch-merge-key': key,
      'x-kubernetes-patch-strategy': 'merge',
    },
    description,
  )

function marked<T extends ZodType>(list: ZodArray<T>, extensions: Record<string, unknown>, description: string) {
  return list.meta(extensions).nullish().describe(description)
}
