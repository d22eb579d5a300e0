/** Notifications in the forms in which registries send them, of a push of `stable` to `lib/app`. */

const digest = `sha256:${'0'.repeat(64)}`

interface Pushed {
  /** Where images of the registry are, as users write it. */
  host: string
  repository?: string
  tag?: string
  digest?: string
}

/** @see https://distribution.github.io/distribution/about/notifications/ */
export function distributionPayload({ host, repository = 'lib/app', tag = 'stable', digest: pushed = digest }: Pushed) {
  const request = { id: '1', addr: '10.0.0.7:4711', host, method: 'PUT', useragent: 'docker/29' }
  const event = {
    timestamp: '2026-01-01T00:00:00.000000000Z',
    request,
    actor: { name: 'ci' },
    source: { addr: 'registry-0:5000', instanceID: 'a-b-c' },
  }
  const blob = { mediaType: 'application/octet-stream', digest, size: 10, length: 10, repository }
  const manifest = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: pushed,
    size: 708,
    length: 708,
    repository,
    url: `https://${host}/v2/${repository}/manifests/${pushed}`,
  }
  return {
    events: [
      {
        id: 'e-1',
        action: 'push',
        ...event,
        target: { ...blob, url: `https://${host}/v2/${repository}/blobs/${digest}` },
      },
      { id: 'e-2', action: 'push', ...event, target: { ...manifest, tag } },
      { id: 'e-3', action: 'pull', ...event, target: { ...manifest, tag: 'pulled' } },
    ],
  }
}

/** @see https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference */
export function azurePayload({ host, repository = 'lib/app', tag = 'stable' }: Pushed) {
  return {
    id: 'cb8c3971-9adc-488b-0000-43cbb4974ff5',
    timestamp: '2026-01-01T00:00:00.343145347Z',
    action: 'push',
    target: {
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      size: 524,
      digest,
      length: 524,
      repository,
      tag,
    },
    request: { id: '3cbb6949-0000', host, method: 'PUT', useragent: 'docker/29' },
  }
}

export function harborData({ host, repository = 'lib/app', tag = 'stable', digest: pushed = digest }: Pushed) {
  const [namespace, name] = repository.split('/')
  return {
    resources: [{ digest: pushed, tag, resource_url: `${host}/${repository}:${tag}` }],
    repository: { date_created: 1586922308, name, namespace, repo_full_name: repository, repo_type: 'private' },
  }
}

/** @see https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/ */
export function harborPayload(pushed: Pushed, type = 'PUSH_ARTIFACT') {
  return { type, occur_at: 1586922308, operator: 'admin', event_data: harborData(pushed) }
}

export function harborCloudEvent(pushed: Pushed, type = 'harbor.artifact.pushed') {
  return {
    specversion: '1.0',
    id: '66e18103-09c1-41f6-982f-37df223f3eeb',
    requestid: '51c0b694-0168-4f3c-b0db-282565455d7b',
    source: '/projects/2/webhook/policies/15',
    type,
    datacontenttype: 'application/json',
    time: '2026-01-01T00:00:00Z',
    data: harborData(pushed),
    operator: 'harbor-jobservice',
  }
}

/** @see https://docs.projectquay.io/use_quay.html#repository-events */
export function quayPayload({ host, repository = 'lib/app' }: Pushed, updated_tags: unknown = ['stable']) {
  const [namespace, name] = repository.split('/')
  const homepage = `https://${host}/repository/${repository}`
  return { name, repository, namespace, docker_url: `${host}/${repository}`, homepage, updated_tags }
}

/** @see https://docs.docker.com/docker-hub/repos/manage/webhooks/ */
export function dockerHubPayload(repo_name = 'lib/app', tag = 'stable') {
  return {
    callback_url: `https://registry.hub.docker.com/u/${repo_name}/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/`,
    push_data: {
      pushed_at: 1767225600,
      pusher: 'ci',
      tag,
      images: [],
      media_type: 'application/vnd.oci.image.index.v1+json',
    },
    repository: {
      repo_name,
      name: repo_name.split('/').at(-1),
      namespace: repo_name.split('/')[0],
      repo_url: `https://hub.docker.com/r/${repo_name}`,
      is_private: true,
      status: 'Active',
    },
  }
}

/** @see https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html */
export function ecrPayload(detail: Record<string, string> = {}) {
  return {
    version: '0',
    id: '13cde686-328b-6117-af20-0e5566167482',
    'detail-type': 'ECR Image Action',
    source: 'aws.ecr',
    account: '123456789012',
    time: '2026-01-01T01:54:34Z',
    region: 'us-west-2',
    resources: [],
    detail: {
      result: 'SUCCESS',
      'repository-name': 'lib/app',
      'image-digest': digest,
      'action-type': 'PUSH',
      'image-tag': 'stable',
      ...detail,
    },
  }
}

/** @see https://docs.github.com/webhooks/webhook-events-and-payloads#package */
export function gitHubPayload(name = 'package', package_url = 'ghcr.io/Lib/app:stable', tag = 'stable') {
  return {
    action: 'published',
    [name]: {
      id: 1,
      name: 'app',
      namespace: 'Lib',
      ecosystem: 'CONTAINER',
      package_type: 'CONTAINER',
      html_url: 'https://github.com/orgs/Lib/packages/container/app/1',
      owner: { login: 'Lib', id: 1 },
      package_version: {
        id: 1,
        version: digest,
        name: digest,
        package_url,
        container_metadata: { labels: {}, manifest: {}, tag: { name: tag, digest } },
      },
      registry: { name: 'GitHub CONTAINER registry', type: 'CONTAINER', vendor: 'GitHub Inc' },
    },
    repository: { full_name: 'Lib/app' },
    sender: { login: 'ci' },
  }
}

/** What is in the body of zot's events, whose attributes are in headers. @see https://zotregistry.dev/v2.1.21/articles/events/ */
export function zotData({ repository = 'lib/app', tag = 'stable', digest: pushed = digest }: Partial<Pushed> = {}) {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  return { name: repository, reference: tag, digest: pushed, mediaType, manifest: '{"schemaVersion":2}' }
}

export function zotHeaders(source = 'zotregistry.dev', type = 'zotregistry.image.updated'): Record<string, string> {
  return {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': 'a-b-c',
    'ce-source': source,
    'ce-type': type,
    'ce-time': '2026-01-01T00:00:00Z',
  }
}
