import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import { RegistryError } from './oci/errors.ts'

export interface LogOptions {
  level: LoggerOptions['level'] & string
  /** `json`, a line for each record, or `text` for people. */
  format: 'json' | 'text'
}

const hidden = '[redacted]'
const secretKeys = ['authorization', 'cookie', 'password', 'secret', 'token', 'access_token', 'refresh_token']

/** A logger that lets no secret through, whether it stands in a field of its own or in a text. Default: to stdout. */
export function createLog({ level, format }: LogOptions, destination?: DestinationStream): Logger {
  const output = destination ?? pino.destination(1)
  const sink = format === 'json' ? output : { write: (line: string) => output.write(toText(line)) }
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: hidden },
      serializers: { err: describeError },
      hooks: { streamWrite: scrub },
    },
    sink,
  )
}

/** Hides bearers, logins and query values (signed URLs, tokens) in any text. */
export function scrub(text: string): string {
  return text
    .replace(/\b(bearer|basic) +[A-Za-z0-9._~+/=-]{12,}/gi, `$1 ${hidden}`)
    .replace(/(:\/\/)[^/\s"@]+@/g, `$1${hidden}@`)
    .replace(/([?&][A-Za-z0-9_.~%[\]-]+=)[^&\s"\\]+/g, `$1${hidden}`)
}

// Errors of libraries carry whole requests in their other properties. A RegistryError is an answer: it says by itself
// what happened, and where in the code is of no use to whoever runs Weir.
function describeError(error: unknown, withStack = !(error instanceof RegistryError)): unknown {
  if (!(error instanceof Error)) return String(error)
  const { name, message, stack, cause } = error
  const code = 'code' in error ? error.code : undefined
  return {
    type: name,
    message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(withStack ? { stack } : {}),
    ...(cause === undefined ? {} : { cause: describeError(cause, withStack) }),
  }
}

// A reason that somebody gave must not make a line of its own, or move the cursor.
function isPlain(text: string): boolean {
  return !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)
}

function plain(text: string): string {
  return isPlain(text) ? text : JSON.stringify(text)
}

function toText(line: string): string {
  const { time, level, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' && isPlain(value) ? value : JSON.stringify(value)}`,
  )
  const stack = typeof err === 'object' && err !== null && 'stack' in err ? `\n${String(err.stack)}` : ''
  return `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${plain(String(msg ?? ''))}${rest.join('')}${stack}\n`
}
