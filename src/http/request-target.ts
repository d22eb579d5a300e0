/**
 * Checks a request target as it stands on the wire, before any URL parser makes something else of it, and answers it in
 * origin form, with the few escapes decoded that its surface allows. Undefined when it is not acceptable: no path of
 * Weir needs an escape, an empty or a dot segment, a backslash or anything beyond ASCII.
 *
 * In `/v2/` a digest's colon may come as `%3A`, in the last segment alone; in the API `:`, `@` and the `*` of a stream's check of its
 * whole repository may be escaped, as kubectl does.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
export function normaliseTarget(target: string): string | undefined {
  const local = target.replace(/^https?:\/\/[^/?#]*/i, '')
  const query = local.indexOf('?')
  const path = decodePath(query < 0 ? local : local.slice(0, query))
  if (path === undefined || !acceptablePath.test(path) || unsafe.test(path)) return undefined
  if (query < 0) return path
  const search = local.slice(query)
  return acceptableQuery.test(search) ? path + search : undefined
}

const acceptablePath = /^\/[\x21-\x7e]*$/
const acceptableQuery = /^[\x21-\x7e]*$/
// '#' begins a fragment, which no request target has.
const unsafe = /[%\\#?]|\/\/|\/\.{1,2}(?:\/|$)/

function decodePath(path: string): string | undefined {
  if (!path.includes('%')) return path
  if (/^\/apis?\//.test(path)) return path.replace(/%3a/gi, ':').replace(/%40/g, '@').replace(/%2a/gi, '*')
  const last = path.lastIndexOf('/') + 1
  return path.startsWith('/v2/') ? path.slice(0, last) + path.slice(last).replace(/%3a/gi, ':') : undefined
}
