/** Shapes of the API's answers about who may do what, who is logged in, and who did what. */

import type { ApiObject, PolicyRule } from './api.ts'

/** A login that goes on, `weir.dev/v1`. */
export interface Session extends ApiObject {
  user?: { name?: string; groups?: string[] }
  provider?: string
  clientId?: string
  client?: { address?: string; userAgent?: string }
  usedAt?: string
  endsAt?: string
}

/** Whether somebody may do something, and by what. */
export interface AccessReview extends ApiObject {
  status?: { allowed?: boolean; reason?: string; evaluationError?: string }
}

export interface SelfSubjectRulesReview extends ApiObject {
  status?: { resourceRules?: PolicyRule[] | null; incomplete?: boolean; evaluationError?: string }
}

/** Who may do something, `authorization.openshift.io/v1`. */
export interface ResourceAccessReviewResponse extends ApiObject {
  namespace?: string
  users?: string[] | null
  groups?: string[] | null
  /** Why the lists are not whole. */
  evalutionError?: string
}

/** A line of the audit log, `weir.dev/v1`. */
export interface AuditEvent extends ApiObject {
  time?: string
  subject?: { name?: string; provider?: string }
  client?: { address?: string; userAgent?: string }
  requestId?: string
  verb?: string
  object?: { group?: string; resource?: string; project?: string; name?: string }
  decision?: string
  grant?: { kind?: string; name?: string; project?: string }
  status?: number
  reason?: string
  count?: number
}
