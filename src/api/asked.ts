import type { Client } from '../access/access.ts'
import type { Matched } from './match.ts'
import type { Rendering } from './render.ts'
import type { Call } from './resource.ts'

/** What is known of a request beside itself. */
export interface Origin {
  client: Client
  requestId?: string | undefined
  /** Settles when the answer is out, or cut off; without it that is not known, and no matter. */
  sent?: Promise<void> | undefined
}

/** A request whose sender, row and right are known; its body is not read yet. */
export interface Asked {
  request: Request
  query: URLSearchParams
  call: Call
  matched: Matched
  /** How the object is to be answered. */
  rendering: Rendering
}
