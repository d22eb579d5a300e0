import { z } from 'zod'
import {
  type Authorizer,
  type Grant,
  mastersGroup,
  type PolicyRule,
  type Rbac,
  type Subject,
} from '../../../access/access.ts'
import type { FieldCause } from '../../../oci/errors.ts'
import { atMost, invalid, required } from '../../fields.ts'
import type { Right } from '../../resource.ts'

/** Questions about rights, and their answers, whichever group asks. */

/** Whether something is allowed, and by what. */
export interface Decision {
  allowed: boolean
  reason?: string
}

/** Rules that somebody holds; `error` says what is left out. */
export interface HeldRules {
  rules: readonly PolicyRule[]
  error?: string
}

/** A string that may be absent or null; then it is empty. */
export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')

/** A list of strings that may be absent or null; then it is empty. */
export const texts = z
  .array(z.string())
  .nullish()
  .transform((values) => values ?? [])

/** Somebody that a caller asks about, by what he says of him. */
export interface AskedSubject {
  user: string
  groups: readonly string[]
}

/** Most groups of somebody that is asked about. */
const maxGroups = 1000
// No verb, group, resource or project has a longer name, and answers are kept by these.
const maxLength = 253
/** Most characters of the rules in one answer. */
const maxRuleCharacters = 1024 * 1024

/** Whether `subject` has `right`, in the words of Kubernetes. */
export function decide(authorizer: Pick<Authorizer, 'explain'>, subject: Subject, right: Right): Decision {
  const { verb, group, resource, name, project } = right
  const grant = authorizer.explain(subject, verb, group, resource, name, project)
  return grant === undefined ? { allowed: false } : { allowed: true, reason: reasonOf(grant) }
}

/** Whether `subject` may ask for a path that is no resource, as far as rules go. */
export function decidePath({ groups }: Subject): Decision {
  if (groups.includes(mastersGroup)) return { allowed: true, reason: mastersReason }
  const reason = 'no rule is about paths: what is served beside resources is served to everyone'
  return { allowed: false, reason }
}

/**
 * The words of Kubernetes for what allows something.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.34.2/pkg/registry/rbac/validation/rule.go
 */
export function reasonOf({ kind, name, project, role, to }: Grant): string {
  if (kind === 'Group') return mastersReason
  const binding = `${kind} ${quoted(name, project)}`
  const what = role === undefined ? '' : ` of ${role.kind} ${quoted(role.name)}`
  const whom = to === undefined ? '' : ` to ${to.kind} ${quoted(to.name, to.namespace)}`
  return `RBAC: allowed by ${binding}${what}${whom}`
}

const mastersReason = `allowed by Group ${quoted(mastersGroup)}`

function quoted(name: string, project?: string): string {
  return JSON.stringify(project ? `${name}/${project}` : name)
}

/** Somebody as he is asked about: in the groups that are named, and in no other. */
export function subjectFrom({ user, groups }: AskedSubject): Subject {
  return { name: user, groups }
}

/** What is wrong with somebody that is asked about; `field` is where he is, as `spec.`. */
export function checkSubject({ user, groups }: AskedSubject, field: string): FieldCause[] {
  if (user === '' && groups.length === 0) {
    return [required(`${field}user`, 'at least one of user and groups must be specified')]
  }
  return atMost(`${field}groups`, groups, maxGroups)
}

/** Says which of `values`, by their fields, are longer than any name of their sort. */
export function checkLengths(values: Readonly<Record<string, string>>): FieldCause[] {
  return Object.entries(values).flatMap(([field, value]) =>
    value.length <= maxLength ? [] : [invalid(field, value, `must be no more than ${maxLength} characters`)],
  )
}

/** The rules that `subject` holds in `project`, as many as an answer can have. */
export function heldRules(authorizer: Pick<Rbac, 'rulesFor'>, subject: Subject, project: string): HeldRules {
  // Rules about paths give nothing here.
  const held = authorizer.rulesFor(subject, project).filter(({ resources }) => resources.length > 0)
  let characters = 0
  const rules: PolicyRule[] = []
  for (const rule of held) {
    characters += sizeOf(rule)
    if (characters > maxRuleCharacters) {
      return { rules, error: `there are ${held.length} rules, and the answer has the first ${rules.length} alone` }
    }
    rules.push(rule)
  }
  return { rules }
}

function sizeOf({ verbs, apiGroups, resources, resourceNames = [] }: PolicyRule): number {
  let size = 0
  for (const list of [verbs, apiGroups, resources, resourceNames]) for (const each of list) size += each.length + 3
  return size
}

/** A rule as reviews show it, without anything but its four lists. */
export function shownRule({
  verbs,
  apiGroups,
  resources,
  resourceNames,
}: PolicyRule): Record<string, readonly string[]> {
  return { verbs, apiGroups, resources, ...(resourceNames?.length ? { resourceNames } : {}) }
}
