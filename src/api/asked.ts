import type { Matched } from './match.ts'
import type { Rendering } from './render.ts'
import type { Call } from './resource.ts'

/** A request whose sender, row and right are known; its body is not read yet. */
export interface Asked {
  request: Request
  query: URLSearchParams
  call: Call
  matched: Matched
  /** How the object is to be answered. */
  rendering: Rendering
}
