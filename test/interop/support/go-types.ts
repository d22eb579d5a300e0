import { z } from 'zod'

/**
 * What a Go client can decode into the types of openshift/api and apimachinery: unknown fields are passed over, but a
 * field that is known has its type, or the whole answer is lost.
 */

const strings = z.record(z.string(), z.string()).nullish()
const int = z.int()
const time = z.iso.datetime({ offset: true })

const meta = z.looseObject({
  name: z.string().optional(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: int.optional(),
  creationTimestamp: time.nullish(),
  deletionTimestamp: time.nullish(),
  labels: strings,
  annotations: strings,
})

const reference = z.looseObject({ kind: z.string(), name: z.string(), namespace: z.string().optional() })

const importPolicy = z.looseObject({
  insecure: z.boolean().optional(),
  scheduled: z.boolean().optional(),
  importMode: z.string().optional(),
})

/** `TagReference`; see okd.md 1.2 for what is there even when it is empty. */
const tagReference = z.looseObject({
  name: z.string(),
  annotations: z.record(z.string(), z.string()).nullable(),
  from: reference.nullish(),
  reference: z.boolean().optional(),
  generation: int.nullable(),
  importPolicy,
  referencePolicy: z.looseObject({ type: z.enum(['Source', 'Local']) }),
})

const condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  lastTransitionTime: time.optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  generation: int,
})

const tagEvent = z.looseObject({ created: time, dockerImageReference: z.string(), image: z.string(), generation: int })

const tagEvents = z.looseObject({
  tag: z.string(),
  items: z.array(tagEvent).nullable(),
  conditions: z.array(condition).optional(),
})

/** `docker10.DockerConfig`. */
const dockerConfig = z.looseObject({
  User: z.string().optional(),
  ExposedPorts: z.record(z.string(), z.object()).nullish(),
  Env: z.array(z.string()).nullish(),
  Cmd: z.array(z.string()).nullish(),
  Volumes: z.record(z.string(), z.object()).nullish(),
  WorkingDir: z.string().optional(),
  Entrypoint: z.array(z.string()).nullish(),
  Labels: strings,
})

/** `docker10.DockerImage`, without which `describe` says that it is unable to read image metadata. */
const dockerImage = z.looseObject({
  Id: z.string(),
  Created: time.nullish(),
  Author: z.string().optional(),
  Architecture: z.string().optional(),
  Size: int.optional(),
  Config: dockerConfig.nullish(),
  ContainerConfig: dockerConfig.optional(),
})

const image = z.looseObject({
  metadata: meta.optional(),
  dockerImageReference: z.string().optional(),
  dockerImageMetadata: dockerImage.nullish(),
  dockerImageMetadataVersion: z.string().optional(),
  dockerImageManifest: z.string().optional(),
  dockerImageManifestMediaType: z.string().optional(),
  dockerImageLayers: z.array(z.looseObject({ name: z.string(), size: int, mediaType: z.string() })).nullish(),
  dockerImageManifests: z
    .array(
      z.looseObject({
        digest: z.string(),
        mediaType: z.string(),
        manifestSize: int,
        architecture: z.string(),
        os: z.string(),
        variant: z.string().optional(),
      }),
    )
    .optional(),
})

const stream = z.looseObject({
  metadata: meta,
  spec: z.looseObject({
    lookupPolicy: z.looseObject({ local: z.boolean() }),
    dockerImageRepository: z.string().optional(),
    tags: z.array(tagReference).nullish(),
  }),
  status: z.looseObject({
    dockerImageRepository: z.string(),
    publicDockerImageRepository: z.string().optional(),
    tags: z.array(tagEvents).nullish(),
  }),
})

const streamTag = z.looseObject({
  metadata: meta,
  tag: tagReference.nullable(),
  generation: int,
  lookupPolicy: z.looseObject({ local: z.boolean() }),
  conditions: z.array(condition).nullish(),
  image,
})

const status = z.looseObject({
  status: z.enum(['Success', 'Failure']).optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  code: int.optional(),
  details: z.looseObject({ name: z.string().optional(), kind: z.string().optional() }).nullish(),
})

const imported = z.looseObject({
  status,
  tag: z.string().optional(),
  image: image.nullish(),
  manifests: z.array(image).nullish(),
})

const list = <T extends z.ZodType>(item: T) =>
  z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string().optional() }), items: z.array(item) })

const policyRules = z.array(
  z.looseObject({
    verbs: z.array(z.string()),
    apiGroups: z.array(z.string()).nullish(),
    resources: z.array(z.string()).nullish(),
    resourceNames: z.array(z.string()).nullish(),
  }),
)

const binding = z.looseObject({
  metadata: meta,
  subjects: z.array(z.looseObject({ kind: z.string(), apiGroup: z.string().optional(), name: z.string() })).nullish(),
  roleRef: z.looseObject({ apiGroup: z.string(), kind: z.string(), name: z.string() }),
})

const accessStatus = z.looseObject({
  allowed: z.boolean(),
  denied: z.boolean().optional(),
  reason: z.string().optional(),
  evaluationError: z.string().optional(),
})

const rulesStatus = z.looseObject({ rules: policyRules.nullable(), evaluationError: z.string().optional() })

const kinds = {
  'image.openshift.io/v1': {
    ImageStream: stream,
    ImageStreamList: list(stream),
    ImageStreamTag: streamTag,
    ImageStreamTagList: list(streamTag),
    ImageTag: z.looseObject({
      metadata: meta,
      spec: tagReference.nullable(),
      status: tagEvents.nullable(),
      image: image.nullable(),
    }),
    ImageStreamImage: z.looseObject({ metadata: meta, image }),
    Image: image,
    ImageList: list(image),
    ImageStreamImport: z.looseObject({
      metadata: meta,
      status: z.looseObject({
        import: stream.nullish(),
        repository: z
          .looseObject({ status, images: z.array(imported).nullish(), additionalTags: z.array(z.string()).nullish() })
          .nullish(),
        images: z.array(imported).nullish(),
      }),
    }),
  },
  'project.openshift.io/v1': {
    Project: z.looseObject({ metadata: meta, status: z.looseObject({ phase: z.string() }) }),
    ProjectList: list(z.looseObject({ metadata: meta })),
  },
  'user.openshift.io/v1': { User: z.looseObject({ metadata: meta, groups: z.array(z.string()).nullable() }) },
  'authentication.k8s.io/v1': {
    SelfSubjectReview: z.looseObject({ status: z.looseObject({ userInfo: z.looseObject({ username: z.string() }) }) }),
  },
  'authorization.k8s.io/v1': {
    SelfSubjectAccessReview: z.looseObject({ metadata: meta.optional(), status: accessStatus }),
    SelfSubjectRulesReview: z.looseObject({
      status: z.looseObject({
        resourceRules: policyRules,
        nonResourceRules: z.array(z.looseObject({ verbs: z.array(z.string()) })),
        incomplete: z.boolean(),
        evaluationError: z.string().optional(),
      }),
    }),
  },
  'authorization.openshift.io/v1': {
    SubjectAccessReviewResponse: accessStatus.extend({ namespace: z.string().optional() }),
    ResourceAccessReviewResponse: z.looseObject({
      namespace: z.string().optional(),
      users: z.array(z.string()).nullable(),
      groups: z.array(z.string()).nullable(),
      evalutionError: z.string(),
    }),
    SelfSubjectRulesReview: z.looseObject({ status: rulesStatus }),
    SubjectRulesReview: z.looseObject({ status: rulesStatus }),
  },
  'rbac.authorization.k8s.io/v1': {
    ClusterRole: z.looseObject({ metadata: meta, rules: policyRules.nullable() }),
    ClusterRoleBinding: binding,
    ClusterRoleBindingList: list(binding),
    RoleBinding: binding,
    RoleBindingList: list(binding),
  },
  'meta.k8s.io/v1': {
    Table: z.looseObject({
      columnDefinitions: z.array(z.looseObject({ name: z.string(), type: z.string(), priority: int })),
      rows: z.array(
        z.looseObject({ cells: z.array(z.unknown()), object: z.looseObject({ kind: z.string(), metadata: meta }) }),
      ),
    }),
  },
  v1: {
    Status: status,
    Namespace: z.looseObject({ metadata: meta, status: z.looseObject({ phase: z.string() }) }),
    EventList: list(z.looseObject({ metadata: meta })),
    ServiceAccount: z.looseObject({ metadata: meta }),
  },
} as const satisfies Record<string, Record<string, z.ZodType>>

/**
 * Decodes an answer as Go would.
 *
 * @throws Error that names each field that is not of its type, or the kind, which no answer may lack
 */
export function decodeAsGo(body: unknown): void {
  const { kind, apiVersion } = z.looseObject({ kind: z.string(), apiVersion: z.string() }).parse(body)
  const known: Record<string, Record<string, z.ZodType>> = kinds
  const type = known[apiVersion]?.[kind]
  if (type === undefined) throw new Error(`oc is sent ${apiVersion} ${kind}, of which the tests know no type`)
  type.parse(body)
}
