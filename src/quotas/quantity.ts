const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const decimal: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const pattern = /^\+?(\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?$/

/**
 * Reads a Kubernetes quantity, `10Gi`, `1500M`, `1e9`, as a whole number, rounded up; undefined for what is none, is negative, or is
 * more than can be counted.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function parseQuantity(value: unknown): number | undefined {
  const [, digits = '', suffix = ''] = pattern.exec(typeof value === 'number' ? String(value) : textOf(value)) ?? []
  if (digits === '') return undefined
  const power = binary.indexOf(suffix)
  const exponent = decimal[suffix] ?? Number(suffix.slice(1))
  const number = Math.ceil(power > 0 ? Number(digits) * 1024 ** power : Number(`${digits}e${exponent}`))
  return number <= Number.MAX_SAFE_INTEGER ? number : undefined
}

/** A number of bytes as Kubernetes writes it: by the largest binary unit that leaves it whole. */
export function formatBinary(bytes: number): string {
  const power = bytes === 0 ? 0 : binary.findLastIndex((_, i) => bytes % 1024 ** i === 0)
  return `${bytes / 1024 ** power}${binary[power]}`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
