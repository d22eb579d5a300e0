import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  hasReadableConfig,
  maxConfigBytes,
  maxConfigurationBytes,
  parseImageConfiguration,
} from '../../src/importer/image-configuration.ts'
import { digestOf } from '../../src/oci/digest.ts'

const whole = {
  created: '2024-05-01T10:20:30.123456789Z',
  author: 'ann <ann@example.com>',
  architecture: 'arm64',
  os: 'linux',
  variant: 'v8',
  docker_version: '20.10',
  config: {
    User: '1000:1000',
    ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
    Env: ['PATH=/bin', 'A=b=c'],
    Entrypoint: ['/entry', ''],
    Cmd: ['run', '--all'],
    Volumes: { '/data': {} },
    WorkingDir: '/srv',
    Labels: { 'org.opencontainers.image.title': 'App' },
    StopSignal: 'SIGINT',
  },
  rootfs: { type: 'layers', diff_ids: [] },
  history: [{ created_by: 'RUN x' }],
}

function parse(document: unknown) {
  return parseImageConfiguration(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)))
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}

describe('an image config', () => {
  test('is read as the spec has it', () => {
    const { docker_version, rootfs: _rootfs, history: _history, ...same } = whole
    expect(parse(whole)).toEqual({ ...same, dockerVersion: docker_version })
  })

  test('that says nothing comes to nothing', () => {
    for (const document of [{}, { config: {} }, { config: null }, { config: { Labels: {}, Env: [], Cmd: null } }]) {
      expect(parse(document)).toEqual({})
    }
  })

  test.each([
    ['no JSON', '<html>'],
    ['nothing', ''],
    ['a list', '[]'],
    ['null', 'null'],
    ['two values', '{}{}'],
    ['a byte order mark', '\ufeff{"os":"linux"}'],
    ['a key given twice', '{"os":"linux","os":"windows"}'],
    ['a key given twice inside', '{"os":"linux","config":{"Labels":{"a":"1","a":"2"}}}'],
    ['nested too deep', `{"os":"linux","x":${'['.repeat(100)}${']'.repeat(100)}}`],
    ['nested beyond measure', '['.repeat(1_000_000)],
    ['of more values than anybody reads', `{"os":"linux","x":[${'0,'.repeat(300_000)}0]}`],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('latin1')],
  ])('that is %s comes to nothing', (_what, text) => {
    expect(parseImageConfiguration(Buffer.from(text, text.includes('ÿ') ? 'latin1' : 'utf8'))).toEqual({})
  })

  test('loses the values of wrong types and keeps the others', () => {
    const document = {
      created: 5,
      author: { name: 'ann' },
      architecture: ['arm64'],
      os: 'linux',
      config: {
        User: 0,
        Env: ['A=1', 5, null, { B: 2 }, 'C=3'],
        Entrypoint: '/bin/sh',
        Cmd: ['run', 5],
        ExposedPorts: ['80/tcp'],
        Volumes: { '/data': null },
        Labels: { a: '1', b: 2, c: null, d: 'x' },
        StopSignal: '',
      },
    }
    expect(parse(document)).toEqual({
      os: 'linux',
      config: { Env: ['A=1', 'C=3'], Volumes: { '/data': {} }, Labels: { a: '1', d: 'x' } },
    })
  })

  test('has no property of every object for a value', () => {
    const configuration = parse('{"config":{"Labels":{"__proto__":"a","constructor":"b","toString":"c"}}}')
    expect(Object.entries(configuration.config?.Labels ?? {})).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['toString', 'c'],
    ])
    expect(parse('{"config":{"__proto__":{"User":"root"}}}')).toEqual({})
  })

  test.each([
    ['2024-05-01T10:20:30Z', true],
    ['2024-02-29T00:00:00+05:30', true],
    ['0001-01-01T00:00:00Z', true],
    ['2023-02-29T00:00:00Z', false],
    ['2023-13-01T00:00:00Z', false],
    ['2023-01-01T24:00:00Z', false],
    ['2023-01-01T00:00:60Z', false],
    ['2023-01-01 00:00:00Z', false],
    ['2023-01-01T00:00:00', false],
    ['yesterday', false],
    ['2024-05-01T10:20:30Z\n', false],
  ])('was created %j: %j', (created, isTime) => {
    expect(parse({ created }).created).toBe(isTime ? created : undefined)
  })

  test('of 10,000 labels keeps as many as there is room for, each whole', () => {
    const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`label-${i}`, `value of ${i}`]))
    const configuration = parse({ os: 'linux', config: { Cmd: ['run'], Labels: labels } })
    const kept = Object.entries(configuration.config?.Labels ?? {})
    expect(kept.length).toBeGreaterThan(1000)
    expect(kept.every(([key, value]) => labels[key] === value)).toBe(true)
    expect(configuration).toMatchObject({ os: 'linux', config: { Cmd: ['run'] } })
    expect(jsonBytes(configuration)).toBeLessThanOrEqual(maxConfigurationBytes)
  })

  test('keeps the small labels beside one that is too large', () => {
    const labels = { small: 'a', huge: 'x'.repeat(maxConfigurationBytes), last: 'b' }
    expect(parse({ config: { Labels: labels } }).config?.Labels).toEqual({ small: 'a', last: 'b' })
  })

  test('has its command whole or not at all', () => {
    const configuration = parse({ config: { Cmd: ['x'.repeat(maxConfigurationBytes), 'y'], Entrypoint: ['/e'] } })
    expect(configuration.config).toEqual({ Entrypoint: ['/e'] })
  })

  test('of whatever JSON is read without a failure, into no more than there is room for, of the types that are told', () => {
    const key = fc.constantFrom('config', 'os', 'created', 'Labels', 'Env', 'Cmd', 'Volumes', '__proto__', 'a')
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string({ maxLength: 20 }),
        fc.integer(),
        fc.constantFrom(null, true, '2024-05-01T10:20:30Z', 'x'.repeat(60_000)),
        fc.array(tie('value'), { maxLength: 6 }),
        fc.dictionary(key, tie('value')),
      ),
    }))
    fc.assert(
      fc.property(fc.dictionary(key, value), (document) => {
        const configuration = parse(document)
        expect(jsonBytes(configuration)).toBeLessThanOrEqual(maxConfigurationBytes)
        expect(configuration.config?.Env?.every((each) => typeof each === 'string') ?? true).toBe(true)
        expect(Object.values(configuration.config?.Labels ?? {}).every((each) => typeof each === 'string')).toBe(true)
        expect(Object.values(configuration.config?.Volumes ?? {}).every((each) => jsonBytes(each) === 2)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('of whatever bytes is read without a failure', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parseImageConfiguration(bytes)).toBeDefined()
      }),
      { numRuns: 300 },
    )
  })
})

describe('a config that is read', () => {
  const digest = digestOf('config')
  const oci = 'application/vnd.oci.image.config.v1+json'
  test.each([
    ['of an OCI image', oci, 10, true],
    ['of a Docker image', 'application/vnd.docker.container.image.v1+json', 10, true],
    ['of 4 MiB', oci, maxConfigBytes, true],
    ['of more', oci, maxConfigBytes + 1, false],
    ['of a Helm chart', 'application/vnd.cncf.helm.config.v1+json', 10, false],
    ['that is empty', 'application/vnd.oci.empty.v1+json', 2, false],
  ])('is one %s', (_what, mediaType, size, isRead) => {
    expect(hasReadableConfig({ config: { digest, mediaType, size } })).toBe(isRead)
  })

  test('is not that of an index', () => {
    expect(hasReadableConfig({})).toBe(false)
  })
})
