import { z } from 'zod'
import { atomicList, object, string, stringMap } from './fields.ts'
import { metadata } from './metadata.ts'

/** Kinds of `rbac.authorization.k8s.io/v1`. @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/ */

const group = 'io.k8s.api.rbac.v1'

const policyRule = z
  .object({
    verbs: atomicList(z.string(), 'What may be done: get, list, watch, create, update, patch, delete, or `*`.'),
    apiGroups: atomicList(z.string(), 'The API groups of the resources; `""` is the core group, `*` all.'),
    resources: atomicList(z.string(), 'The resources, as `imagestreams` or `imagestreams/layers`; `*` is all.'),
    resourceNames: atomicList(z.string(), 'The only names that the rule is for. Empty: all.'),
    nonResourceURLs: atomicList(
      z.string(),
      'Paths that are no resources, of cluster roles alone. Kept; nothing that Weir serves is granted by a path.',
    ),
  })
  .meta({ id: `${group}.PolicyRule`, description: 'What may be done with which resources.' })

const selectorRequirement = z
  .object({
    key: string('The label.'),
    operator: string('In, NotIn, Exists or DoesNotExist.'),
    values: atomicList(z.string(), 'The values that In and NotIn mean.'),
  })
  .meta({
    id: 'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement',
    description: 'What is required of a label.',
  })

const labelSelector = z
  .object({
    matchLabels: stringMap('Labels and the values that they must have.'),
    matchExpressions: atomicList(selectorRequirement, 'What else is required of labels.'),
  })
  .meta({ id: 'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector', description: 'Selects objects by their labels.' })

const aggregationRule = z
  .object({ clusterRoleSelectors: atomicList(labelSelector, 'Selects the roles whose rules are taken over.') })
  .meta({ id: `${group}.AggregationRule`, description: 'Of which other roles the rules are.' })

const rules = atomicList(policyRule, 'What the role allows.')

export const roleSchema = z
  .object({ metadata, rules })
  .meta({ id: `${group}.Role`, description: 'What may be done in a project, for a RoleBinding to give.' })

export const clusterRoleSchema = z
  .object({
    metadata,
    rules,
    aggregationRule: object(aggregationRule, 'Of which other roles the rules are; `rules` as sent are then left out.'),
  })
  .meta({
    id: `${group}.ClusterRole`,
    description: 'What may be done, for bindings in all projects, or in the whole cluster, to give.',
  })

const subject = z
  .object({
    kind: string('User, Group or ServiceAccount.'),
    apiGroup: string('rbac.authorization.k8s.io for users and groups, empty for service accounts. It may be left out.'),
    name: string('Name of the subject.'),
    namespace: string('The project of a service account.'),
  })
  .meta({ id: `${group}.Subject`, description: 'Who is given a role.' })

const roleRef = z
  .object({
    apiGroup: string('rbac.authorization.k8s.io. It may be left out.'),
    kind: string('Role or ClusterRole.'),
    name: string('Name of the role.'),
  })
  .meta({ id: `${group}.RoleRef`, description: 'The role that is given.' })

export const roleBindingSchema = z
  .object({
    metadata,
    subjects: atomicList(subject, 'Who is given the role.'),
    roleRef: object(roleRef, 'The role that is given. It cannot be changed.'),
  })
  .meta({ id: `${group}.RoleBinding`, description: 'Gives a role in a project to subjects.' })

export const clusterRoleBindingSchema = z
  .object({
    metadata,
    subjects: atomicList(subject, 'Who is given the role.'),
    roleRef: object(roleRef, 'The cluster role that is given. It cannot be changed.'),
  })
  .meta({ id: `${group}.ClusterRoleBinding`, description: 'Gives a role in all projects, and beyond, to subjects.' })
