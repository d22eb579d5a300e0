import { parseImageReference } from '../oci/reference.ts'
import { isObject, optionalText, requireList, requireText, unlike, valueAt } from './json-fields.ts'
import { hostIn, hostOfUrl, maxPushes, type ToldPush, toldPush } from './told-push.ts'

/**
 * The pushes that a body in a registry's own form tells of; none for what happened otherwise. Undefined when it is in no form that is
 * known here. What a form has beside is not looked at.
 *
 * @throws RegistryError BAD_REQUEST that names the field
 */
export function readPlain(body: unknown): ToldPush[] | undefined {
  if (!isObject(body)) return undefined
  return formats.find(({ fits }) => fits(body))?.read(body)
}

/** What Harbor tells of an artifact, which is below `event_data`, and in CloudEvents also at the top of `data`. */
export function readHarborData(data: unknown, field: string): ToldPush[] {
  const name = `${field}.repository.repo_full_name`
  const repository = requireText(valueAt(data, 'repository', 'repo_full_name'), name)
  const resources = requireList(valueAt(data, 'resources'), `${field}.resources`, maxPushes)
  return resources.flatMap((resource, i) => {
    const tag = optionalText(valueAt(resource, 'tag'), `${field}.resources[${i}].tag`)
    const url = optionalText(valueAt(resource, 'resource_url'), `${field}.resources[${i}].resource_url`)
    return toldPush({ repository, tag, hosts: [hostIn(url)] })
  })
}

interface Format {
  /** Whether a body is in this form, by what others have not. */
  fits(body: Record<string, unknown>): boolean
  read(body: Record<string, unknown>): ToldPush[]
}

/** @see https://distribution.github.io/distribution/about/notifications/#envelope */
const distribution: Format = {
  fits: (body) => Object.hasOwn(body, 'events'),
  read: ({ events }) =>
    requireList(events, 'events', maxPushes).flatMap((event, i) => readDistributionEvent(event, `events[${i}].`)),
}

/** Azure sends distribution's events one by one. @see https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference */
const azure: Format = {
  fits: (body) => typeof body.action === 'string' && (isObject(body.target) || body.action === 'ping'),
  read: (body) => readDistributionEvent(body, ''),
}

/** @see https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/ */
const harbor: Format = {
  fits: (body) => typeof body.type === 'string' && Object.hasOwn(body, 'event_data'),
  read: (body) => (isHarborPush(body.type) ? readHarborData(body.event_data, 'event_data') : []),
}

/** @see https://docs.projectquay.io/use_quay.html#repository-events */
const quay: Format = {
  fits: (body) => typeof body.docker_url === 'string',
  read({ docker_url, updated_tags }) {
    const source = parseImageReference(requireText(docker_url, 'docker_url'))
    if (source === undefined) throw unlike('docker_url', 'an image without its tag, as quay.io/org/app')
    const { host, repository } = source
    const tags = isObject(updated_tags) ? Object.keys(updated_tags) : (updated_tags ?? [])
    return requireList(typeof tags === 'string' ? [tags] : tags, 'updated_tags', maxPushes).flatMap((tag, i) =>
      toldPush({ repository, tag: requireText(tag, `updated_tags[${i}]`), hosts: [host] }),
    )
  },
}

/** Its `callback_url` is never called: whoever has the key could have Weir call anybody. @see https://docs.docker.com/docker-hub/repos/manage/webhooks/ */
const dockerHub: Format = {
  fits: (body) => Object.hasOwn(body, 'push_data'),
  read(body) {
    const name = requireText(valueAt(body, 'repository', 'repo_name'), 'repository.repo_name')
    const tag = optionalText(valueAt(body, 'push_data', 'tag'), 'push_data.tag')
    const repository = name.includes('/') ? name : `library/${name}`
    return toldPush({ repository, tag, hosts: ['docker.io'] })
  },
}

/** EventBridge's. @see https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html */
const ecr: Format = {
  fits: (body) => body.source === 'aws.ecr',
  read(body) {
    const at = (name: string) => valueAt(body, 'detail', name)
    if (body['detail-type'] !== 'ECR Image Action') return []
    if (at('action-type') !== 'PUSH' || at('result') !== 'SUCCESS') return []
    const account = requireText(body.account, 'account')
    const region = requireText(body.region, 'region')
    if (!/^[0-9]{12}$/.test(account)) throw unlike('account', 'twelve digits')
    if (!/^[a-z0-9-]{1,32}$/.test(region)) throw unlike('region', 'the name of a region, as us-west-2')
    const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
    return toldPush({
      repository: requireText(at('repository-name'), 'detail.repository-name'),
      tag: optionalText(at('image-tag'), 'detail.image-tag'),
      hosts: [`${account}.dkr.ecr.${region}.${domain}`],
    })
  },
}

/** Both events that tell of packages, and the one by which a hook is tried. @see https://docs.github.com/webhooks/webhook-events-and-payloads#package */
const gitHub: Format = {
  fits: (body) =>
    isObject(body.package) ||
    isObject(body.registry_package) ||
    (Object.hasOwn(body, 'zen') && Object.hasOwn(body, 'hook_id')),
  read(body) {
    const name = isObject(body.package) ? 'package' : 'registry_package'
    const at = (...path: string[]) => valueAt(body, name, ...path)
    const type = at('package_type')
    if (typeof type !== 'string' || type.toLowerCase() !== 'container') return []
    const version = `${name}.package_version`
    const url = requireText(at('package_version', 'package_url'), `${version}.package_url`)
    const source = parseImageReference(url.toLowerCase().replace(/:[^/]*$/, ''))
    if (source === undefined) throw unlike(`${version}.package_url`, 'an image, as ghcr.io/org/app:v1')
    const tag = at('package_version', 'container_metadata', 'tag', 'name')
    return toldPush({
      repository: source.repository,
      tag: optionalText(tag, `${version}.container_metadata.tag.name`),
      hosts: [source.host],
    })
  },
}

const formats: readonly Format[] = [distribution, harbor, gitHub, dockerHub, quay, ecr, azure]

/** A push by digest, as of what an index lists, has no tag; nor has one of a blob. */
function readDistributionEvent(event: unknown, field: string): ToldPush[] {
  const action = requireText(valueAt(event, 'action'), `${field}action`)
  if (action !== 'push') return []
  const repository = requireText(valueAt(event, 'target', 'repository'), `${field}target.repository`)
  const tag = optionalText(valueAt(event, 'target', 'tag'), `${field}target.tag`)
  const host = optionalText(valueAt(event, 'request', 'host'), `${field}request.host`)
  const hosts = [host, hostOfUrl(valueAt(event, 'target', 'url'))]
  return toldPush({ repository, tag, hosts, isReachedOtherwise: true })
}

/** The second is Harbor 1's. */
function isHarborPush(type: unknown): boolean {
  return type === 'PUSH_ARTIFACT' || type === 'pushImage'
}
