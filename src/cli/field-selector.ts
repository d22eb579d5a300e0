/** Writes a `fieldSelector` of fields that are to be equal; undefined ones are left out. */
export function fieldSelector(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields)
    .flatMap(([field, value]) => (value === undefined ? [] : `${field}=${value.replace(/[\\,=]/g, '\\$&')}`))
    .join(',')
}
