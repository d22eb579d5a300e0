import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * A refresh token in its parts. `family` is of the session and tells an old token of it from a forged one; `turn` is
 * followed by another at each rotation.
 */
export interface RefreshToken {
  /** Of the session, a UUID. */
  id: string
  /** 128 bits. */
  family: Buffer
  /** 256 bits. */
  turn: Buffer
}

/** Refresh tokens start so, for people and secret scanners. */
export const refreshTokenPrefix = 'weir_refresh_'

const familyBytes = 16
const turnBytes = 32
const pattern = /^weir_refresh_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9_-]{64})$/

/** The first token of a session. */
export function makeRefreshToken(id: string): RefreshToken {
  return { id, family: randomBytes(familyBytes), turn: randomBytes(turnBytes) }
}

/** `weir_refresh_<id>.<secret>`. */
export function formatRefreshToken({ id, family, turn }: RefreshToken): string {
  return `${refreshTokenPrefix}${id}.${Buffer.concat([family, turn]).toString('base64url')}`
}

/** The parts of a token; undefined for anything else. */
export function parseRefreshToken(text: string): RefreshToken | undefined {
  const [, id, encoded] = pattern.exec(text) ?? []
  if (id === undefined || encoded === undefined) return undefined
  const secret = Buffer.from(encoded, 'base64url')
  return { id, family: secret.subarray(0, familyBytes), turn: secret.subarray(familyBytes) }
}

/** A nonce for {@link followingToken}, base64. */
export function makeNonce(): string {
  return randomBytes(turnBytes).toString('base64')
}

/**
 * The token that takes the place of `token`. It comes of the nonce, which the store has, and of the token, which it has
 * not: so whoever sends the same token twice gets the same answer, and nobody can make it of the store alone.
 */
export function followingToken(token: RefreshToken, nonce: string): RefreshToken {
  const turn = createHmac('sha256', Buffer.from(nonce, 'base64')).update(token.turn).digest()
  return { ...token, turn }
}

/** SHA-256 as the store keeps it, hexadecimal. */
export function hashOf(secret: Buffer): string {
  return sha256(secret).toString('hex')
}

/** Whether `hash` is of `secret`, in constant time. */
export function isHashOf(hash: string, secret: Buffer): boolean {
  const expected = Buffer.from(hash, 'hex')
  const given = sha256(secret)
  return expected.length === given.length && timingSafeEqual(expected, given)
}

function sha256(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest()
}
