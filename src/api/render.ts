import { listObject } from './list.ts'
import type { Form } from './negotiate.ts'
import type { ApiObject, Column, Page } from './resource.ts'

/** What objects are rendered as. */
export interface Rendering {
  form: Form
  type: { kind: string; apiVersion: string }
  columns: readonly Column[] | undefined
  nowMs: number
}

/** One object as it is answered. */
export function renderObject({ type }: Rendering, object: ApiObject): object {
  return { ...type, ...object }
}

/** A page of a list as it is answered. */
export function renderList({ type }: Rendering, page: Page): object {
  return listObject(type, page)
}
