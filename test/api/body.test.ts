import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { maxBodyBytes, maxSmallBodyBytes, parseObject, readBody } from '../../src/api/body.ts'
import { RegistryError } from '../../src/oci/errors.ts'

function request(
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined,
  contentType?: string,
  headers: Record<string, string> = {},
): Request {
  const init = { method: 'POST', headers: { ...headers, ...(contentType && { 'content-type': contentType }) } }
  return new Request('http://localhost/', body === undefined ? init : { ...init, body, duplex: 'half' })
}

function stream(pieces: number, bytes: number): ReadableStream<Uint8Array> & { given: () => number } {
  let given = 0
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (given === pieces) return controller.close()
      given += 1
      controller.enqueue(new Uint8Array(bytes).fill(32))
    },
  })
  return Object.assign(source, { given: () => given })
}

describe('readBody()', () => {
  test.each([
    ['application/json', '{"a":1}'],
    ['application/json; charset=utf-8', '{"a":1}'],
    ['Application/JSON', '{"a":1}'],
    ['application/yaml', 'a: 1'],
    [undefined, new TextEncoder().encode('{"a":1}')],
  ])('reads %s', async (type, body) => {
    expect(await readBody(request(body, type))).toMatchObject({ object: { a: 1 } })
  })

  test('tells that there is no body', async () => {
    expect(await readBody(request(undefined))).toBeUndefined()
  })

  test.each([
    ['application/json', '{"a":'],
    ['application/json', '[]'],
    ['application/json', 'null'],
    ['application/json', '"text"'],
    ['application/yaml', 'a: [1'],
    ['application/yaml', 'a: 1\n---\nb: 2'],
    ['application/yaml', '- 1'],
    ['application/json', new Uint8Array([0x7b, 0xff, 0x7d])],
  ])('refuses as %s the body %j', async (type, body) => {
    await expect(readBody(request(body, type))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  test('does not repeat the body in its refusal', async () => {
    await expect(readBody(request('{"password": s3cr3t}', 'application/json'))).rejects.toMatchObject({
      message: expect.not.stringContaining('s3cr3t'),
    })
  })

  test('refuses YAML whose aliases multiply', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(',')}]`)
    const bomb = ['l0: &l0 [x]', ...levels].join('\n')
    await expect(readBody(request(bomb, 'application/yaml'))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/merge-patch+json'])(
    'refuses %s',
    async (type) => {
      await expect(readBody(request('{}', type))).rejects.toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' })
    },
  )

  test('reads protobuf', async () => {
    const namespace = Buffer.from('6b3873000a0f0a02763112094e616d65737061636512080a060a0464656d6f', 'hex')
    const sent = request(new Uint8Array(namespace), 'application/vnd.kubernetes.protobuf')
    expect((await readBody(sent))?.object).toEqual({ kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'demo' } })
  })

  test('refuses protobuf beyond 1 MiB without decoding it', async () => {
    const sent = request(new Uint8Array(1024 * 1024 + 1), 'application/vnd.kubernetes.protobuf')
    await expect(readBody(sent)).rejects.toMatchObject({ code: 'TOO_LARGE' })
  })

  test.each(['gzip', 'deflate', 'br', 'GZIP', 'x, gzip'])('refuses a body in %s', async (encoding) => {
    const sent = request(new Uint8Array(gzipSync('{}')), 'application/json', { 'content-encoding': encoding })
    await expect(readBody(sent)).rejects.toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' })
  })

  test('takes a body in identity, and with a byte order mark', async () => {
    const sent = request('\ufeff{"a":1}', 'application/json', { 'content-encoding': 'identity' })
    expect((await readBody(sent))?.object).toEqual({ a: 1 })
  })

  test.each([
    ['application/json', '{"a":{"b":["\\ud800"]}}'],
    ['application/json', '{"\\udc00":1}'],
    ['application/yaml', '{"a": "\\ud83d"}'],
  ])('refuses as %s a lone surrogate in %s', async (type, body) => {
    await expect(readBody(request(body, type))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining('surrogate'),
    })
  })

  test('keeps NUL and pairs of surrogates', async () => {
    expect((await readBody(request('{"a":"\\u0000\\ud83d\\ude00"}', 'application/json')))?.object).toEqual({
      a: '\0\u{1f600}',
    })
  })

  test('makes of a key `__proto__` a key', async () => {
    for (const [type, body] of [
      ['application/json', '{"__proto__":{"x":1},"a":{"__proto__":{"x":1}}}'],
      ['application/yaml', '__proto__: {x: 1}\na: {__proto__: {x: 1}}'],
    ]) {
      const read = (await readBody(request(body, type)))?.object ?? {}
      expect(Object.keys(read)).toEqual(['__proto__', 'a'])
      expect(Object.getPrototypeOf(read.a)).toBe(Object.prototype)
      expect(Reflect.get({}, 'x')).toBeUndefined()
    }
  })

  test('counts the bytes of a body without a length, and stops reading at the limit', async () => {
    const body = stream(1000, 1024 * 1024)
    await expect(readBody(request(body, 'application/json'))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(body.given()).toBeLessThan(10)
  })

  test('does not read a body whose length is too large', async () => {
    const body = stream(1000, 1024)
    const sent = request(body, 'application/json', { 'content-length': String(maxBodyBytes + 1) })
    await expect(readBody(sent)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(body.given()).toBeLessThan(3)
  })

  test.each([
    ['keys of a map', (i: number) => `${i.toString(36)}: 1\n`, ''],
    ['keys of a flow map', (i: number) => `${i.toString(36)},`, '{'],
    ['errors', () => ',', 'a: ['],
  ])('gives YAML full of %s an answer', async (_, piece, start) => {
    let yaml = start
    for (let i = 0; yaml.length < maxSmallBodyBytes - 10; i += 1) yaml += piece(i)
    const answer: unknown = await readBody(request(yaml, 'application/yaml')).catch((error: unknown) => error)
    expect(answer instanceof RegistryError ? answer.code : 'read').toMatch(/^(?:BAD_REQUEST|read)$/)
  })

  test('takes the last of a key given twice, in YAML as in JSON, and tells of it', async () => {
    for (const [body, type] of [
      ['a: {c: [{b: 1, b: 2}]}\na: {b: 1}', 'application/yaml'],
      ['{"a":{"c":[{"b":1,"b":2}]},"a":{"b":1}}', 'application/json'],
    ]) {
      const read = await readBody(request(body, type))
      expect(read?.object).toEqual({ a: { b: 1 } })
      expect(read?.duplicates().sort()).toEqual(['a', 'a.c[0].b'])
    }
  })

  test('refuses YAML beyond 64 KiB without parsing it', async () => {
    const yaml = `a: ${'x'.repeat(maxSmallBodyBytes)}`
    await expect(readBody(request(yaml, 'application/yaml'))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringContaining('65536'),
    })
  })

  test.each([
    ['application/json', 100_000],
    ['application/json', 101],
    ['application/yaml', 101],
  ])('refuses as %s a body of %i levels', async (type, levels) => {
    const body = `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
    await expect(readBody(request(body, type))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  test('takes a body of 100 levels', async () => {
    const body = `{"a":${'['.repeat(99)}${']'.repeat(99)}}`
    expect(await readBody(request(body, 'application/json'))).toHaveProperty('object.a')
  })

  test.each([
    ['application/json', 50_000, true],
    ['application/json', 50_001, false],
  ])('of %s with an object of %i fields is taken: %s', async (type, fields, isTaken) => {
    const data = Object.fromEntries(Array.from({ length: fields }, (_, i) => [`k${i}`, 1]))
    const reading = readBody(request(JSON.stringify({ data }), type))
    if (isTaken) expect(await reading).toHaveProperty('object.data.k0')
    else
      await expect(reading).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringMatching(/more than 50000 fields/),
      })
  })

  test('takes a body of exactly the limit', async () => {
    const body = `{"a":1${' '.repeat(maxBodyBytes - 7)}}`
    expect(await readBody(request(body, 'application/json'))).toMatchObject({ object: { a: 1 } })
  })
})

describe('parseObject()', () => {
  test('names every field of a wrong type by its path', () => {
    const schema = z.object({ spec: z.object({ images: z.array(z.object({ from: z.string() })) }), n: z.number() })
    expect(() => parseObject(schema, { spec: { images: [{ from: 1 }] }, n: 'x' })).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringMatching(/spec\.images\[0\]\.from.*n:/) }),
    )
  })
})
