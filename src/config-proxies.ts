/** The proxies that the environment names, as most programs read them. */
import type { ProxySettings } from './upstream/proxies.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Undefined where there are none. What is wrong with one is told without its value: it may hold a password. */
export function readProxies(environment: Environment): { settings?: ProxySettings; problems: string[] } {
  const problems: string[] = []
  const https = proxyOf(environment, 'HTTPS_PROXY', problems)
  const http = proxyOf(environment, 'HTTP_PROXY', problems)
  if (https === undefined && http === undefined) return { problems }
  const [, noProxy] = variable(environment, 'NO_PROXY')
  return { settings: { ...(https && { https }), ...(http && { http }), noProxy }, problems }
}

/** Small letters go first, as with curl. */
function variable(environment: Environment, name: string): [name: string, value: string] {
  const found = [name.toLowerCase(), name].find((each) => environment[each])
  return [found ?? name, (environment[found ?? name] ?? '').trim()]
}

function proxyOf(environment: Environment, key: string, problems: string[]): URL | undefined {
  const [name, value] = variable(environment, key)
  if (value === '') return undefined
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && isDecodable(url)) return url
  problems.push(
    `${name}: write http://HOST:PORT, or https, with USER:PASSWORD@ in front of the host if the proxy wants it`,
  )
  return undefined
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(`${username}${password}`)
    return true
  } catch {
    return false
  }
}
