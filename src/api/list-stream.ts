import type { RenderedList } from './render.ts'

/**
 * The answer of a list whose end is still to be read: `first` and then the elements of `rest`, made as the client takes them.
 * A failure breaks the answer off, so that no client takes it for whole.
 */
export function streamed(
  first: RenderedList,
  rest: AsyncIterable<readonly object[]>,
  failed: (error: unknown) => void,
): Response {
  const pieces = jsonPieces(first, rest)
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await pieces.next()
          if (done) controller.close()
          else controller.enqueue(encoder.encode(value))
        } catch (error) {
          failed(error)
          controller.error(error)
        }
      },
      cancel: async () => {
        await pieces.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })
}

/** The JSON text of a list: its envelope, then its elements piece by piece. */
async function* jsonPieces(
  { envelope, field, elements }: RenderedList,
  rest: AsyncIterable<readonly object[]>,
): AsyncGenerator<string, undefined> {
  const text = (objects: readonly object[]) => objects.map((object) => JSON.stringify(object)).join(',')
  yield `${JSON.stringify(envelope).slice(0, -1)},${JSON.stringify(field)}:[${text(elements)}`
  let isFirst = elements.length === 0
  for await (const objects of rest) {
    if (objects.length === 0) continue
    yield `${isFirst ? '' : ','}${text(objects)}`
    isFirst = false
  }
  yield ']}\n'
}
