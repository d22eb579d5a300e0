import type { Client, Grant, Subject } from '../access/access.ts'
import { type AuditEvent, isOfStranger } from './event.ts'

/**
 * Longest line in bytes, its end included: so much goes into a pipe in one piece, whoever else writes there.
 *
 * @see https://man7.org/linux/man-pages/man7/pipe.7.html PIPE_BUF
 */
export const maxLineBytes = 4096

/** Most bytes of each value as it stands in the line; together with the names of the fields less than a line. */
const most = {
  name: 384,
  groups: 640,
  userAgent: 384,
  binding: 256,
  word: 96,
  short: 64,
} as const

/** Whoever wants to fill the log with what he says of himself has so much less of it. */
const mostOfStranger = { ...most, userAgent: 64 }

/** As above, where he was refused: what he asked for may be any text. */
const mostOfRefused = { ...mostOfStranger, name: 128, word: 64 }

type MaxBytes = Record<keyof typeof most, number>

export type FormatLine = (event: AuditEvent, timeMs: number) => string

/**
 * Creates what makes an event a line of JSON, its end included. What is too long is cut and ends in an ellipsis. Who asked,
 * from where and by what right is written once for each such object: they come again and again, and do not change.
 */
export function createFormatLine(): FormatLine {
  const subjects = remembered(formatSubject)
  const clients = remembered((client: Client) => formatClient(client, most))
  const strangers = remembered((client: Client) => formatClient(client, mostOfStranger))
  const grants = remembered(formatGrant)
  let lastMs = Number.NaN
  let time = ''
  return ({ subject, client, requestId, surface, verb, object, decision, grant, status, reason, count }, timeMs) => {
    const isStranger = isOfStranger({ subject })
    if (timeMs !== lastMs) {
      lastMs = timeMs
      time = new Date(timeMs).toISOString()
    }
    const by = grant === undefined ? '' : `,"grant":${grants(grant)}`
    const why = reason === undefined ? '' : `,"reason":${quote(reason, most.short)}`
    const many = count === undefined ? '' : `,"count":${count}`
    const mostOfObject = isStranger && decision === 'denied' ? mostOfRefused : most
    return (
      `{"time":"${time}","surface":"${surface}","subject":${subjects(subject)},"verb":${quote(verb, most.short)}` +
      `,"object":${formatObject(object, mostOfObject)},"decision":"${decision}"${by},"status":${status}${why}${many}` +
      `,"client":${(isStranger ? strangers : clients)(client)},"requestId":${quote(requestId, most.short)}}\n`
    )
  }
}

function remembered<T extends object>(format: (value: T) => string): (value: T) => string {
  const known = new WeakMap<T, string>()
  return (value) => {
    let text = known.get(value)
    if (text === undefined) {
      text = format(value)
      known.set(value, text)
    }
    return text
  }
}

function formatSubject({ name, groups, provider, session }: AuditEvent['subject'] | Subject): string {
  const by = provider === undefined ? '' : `,"provider":${quote(provider, most.short)}`
  const during = session === undefined ? '' : `,"session":${quote(session, most.short)}`
  return `{"name":${quote(name, most.name)},"groups":${quoteList(groups, most.groups)}${by}${during}}`
}

function formatClient({ address, userAgent }: Client, maxBytes: MaxBytes): string {
  return `{"address":${quote(address, most.short)},"userAgent":${quote(userAgent, maxBytes.userAgent)}}`
}

function formatObject({ group, resource, project, name }: AuditEvent['object'], maxBytes: MaxBytes): string {
  const place = `"project":${quote(project, maxBytes.word)},"name":${quote(name, maxBytes.name)}`
  return `{"group":${quote(group, maxBytes.word)},"resource":${quote(resource, maxBytes.word)},${place}}`
}

function formatGrant({ kind, name, project, role }: Grant): string {
  const given =
    role === undefined
      ? ''
      : `,"role":{"apiGroup":${quote(role.apiGroup, most.short)},"kind":${quote(role.kind, most.short)},"name":${quote(role.name, most.binding)}}`
  return `{"kind":"${kind}","name":${quote(name, most.binding)},"project":${quote(project, most.word)}${given}}`
}

function quoteList(values: readonly string[], maxBytes: number): string {
  const quoted: string[] = []
  let bytes = 0
  for (const value of values) {
    const next = quote(value, most.word)
    bytes += Buffer.byteLength(next) + 1
    if (bytes > maxBytes) {
      quoted.push('"…"')
      break
    }
    quoted.push(next)
  }
  return `[${quoted.join(',')}]`
}

const plain = /^[ !#-[\]-~]*$/

// What moves a cursor, hides or turns text round, or ends a line for somebody. JSON itself escapes the first 32 alone.
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** A value as JSON has it, of at most `maxBytes` between its quotes. */
export function quote(value: string, maxBytes: number): string {
  if (value.length > maxBytes) return cut(value, maxBytes)
  if (plain.test(value)) return `"${value}"`
  const quoted = toJson(value)
  return Buffer.byteLength(quoted) - 2 <= maxBytes ? quoted : cut(value, maxBytes)
}

function toJson(value: string): string {
  return JSON.stringify(value).replace(unsafe, (character) => {
    const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

function cut(value: string, maxBytes: number): string {
  let room = maxBytes - Buffer.byteLength('…')
  let kept = ''
  for (const character of value) {
    const escaped = toJson(character).slice(1, -1)
    room -= Buffer.byteLength(escaped)
    if (room < 0) break
    kept += escaped
  }
  return `"${kept}…"`
}
