import type { AuditEvent } from '../../src/audit/event.ts'

/** An event as a pull makes it. */
export function auditEvent(more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    subject: { name: 'system:serviceaccount:demo:ci', groups: ['system:serviceaccounts', 'system:authenticated'] },
    client: { address: '192.0.2.7', userAgent: 'docker/29.0.0' },
    requestId: 'r-1',
    surface: 'registry',
    verb: 'pull',
    object: { group: 'image.openshift.io', resource: 'imagestreams/layers', project: 'demo', name: 'app:prod' },
    decision: 'allowed',
    grant: {
      kind: 'RoleBinding',
      name: 'pullers',
      project: 'demo',
      role: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    },
    status: 200,
    ...more,
  }
}
