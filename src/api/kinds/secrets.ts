import { dockerConfigKeys } from '../../pull-secrets/docker-config.ts'
import type { Objects, StoredObject } from '../../store/objects.ts'
import { secretColumns } from '../columns/core-columns.ts'
import { dnsSubdomain } from '../metadata.ts'
import type { ApiObject, Call, Follow, Resource, Subresource } from '../resource.ts'
import { secretListSchema, secretSchema } from '../schemas/core.ts'
import { readPage, storedHandlers } from '../stored.ts'
import { checkSecret, checkSecretChange, checkSecretKeys, secretFields } from './secret-fields.ts'

export interface SecretsOptions {
  objects: Objects
  followObjects(resource: string): Follow
}

const resource = 'secrets'

const quota = { most: 1000, mostLength: 16 * 1024 * 1024 }

/** With this annotation at `true` a secret is none of the project's logins to registries (okd.md 4.1). */
const exclusion = 'openshift.io/image.excludeSecret'

/** Bytes by key that few may read, sealed in the store. Kubernetes takes 1 MiB of them; a record of Weir holds half of that. */
export function secrets({ objects, followObjects }: SecretsOptions): Resource {
  const handlers = storedHandlers({
    objects,
    group: '',
    resource,
    schema: secretFields,
    nameRule: dnsSubdomain,
    generatesNames: true,
    checkSent: checkSecretKeys,
    check: checkSecret,
    checkChange: checkSecretChange,
    quota,
  })
  return {
    group: '',
    version: 'v1',
    resource,
    singular: 'secret',
    kind: 'Secret',
    namespaced: true,
    fieldSelectors: ['type'],
    columns: secretColumns,
    schema: secretSchema,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects(resource),
    handlers,
  }
}

/** `imagestreams/secrets`: the project's logins to registries, for any name of a stream (okd.md 1.1). */
export function streamSecrets({ objects }: Pick<SecretsOptions, 'objects'>): Subresource {
  return {
    group: '',
    version: 'v1',
    kind: 'SecretList',
    schema: secretListSchema,
    handlers: { get: (call) => showLogins(objects, call) },
  }
}

async function showLogins(objects: Objects, { project, options }: Call): Promise<ApiObject> {
  const isWanted = (secret: StoredObject) => isLogin(secret) && options.selects(secret)
  const { items, resourceVersion, ...more } = await readPage(objects, { ...options, resource, project, isWanted })
  return { metadata: { resourceVersion, ...more }, items }
}

function isLogin({ type, metadata }: StoredObject): boolean {
  return dockerConfigKeys.has(String(type)) && metadata.annotations?.[exclusion] !== 'true'
}
