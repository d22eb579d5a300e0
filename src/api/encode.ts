import { stringify } from 'yaml'

/** Longest JSON text, in UTF-16 units, that is written as YAML for people to read: that is slow. */
const maxReadable = 128 * 1024

/** The text of an answer. */
export function encodeJson(body: object): string {
  return `${JSON.stringify(body)}\n`
}

/** The text of an answer as YAML; a long one as JSON, which is YAML as well. */
export function encodeYaml(body: object): string {
  const json = encodeJson(body)
  if (json.length > maxReadable) return json
  // YAML 1.1, which clients read, takes `yes` and `1_000` for no strings.
  return stringify(JSON.parse(json), { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 })
}
