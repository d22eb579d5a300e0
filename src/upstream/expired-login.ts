/** A refusal says why in its first words; more of it is not read. */
const maxBytes = 16 * 1024

/** What Amazon's ECR says with status 403, where others answer 401: `Your authorization token has expired. Reauthenticate and try again.` */
const words = /authorization token has expired/i

/**
 * Whether a refusal's body says that the login was good, and is no more. No answer counts as no: one that breaks off, and one that is
 * not there in time.
 *
 * @param next gives the body's pieces one by one
 */
export async function saysExpired(next: () => Promise<Buffer | undefined>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, '')
  })
  const text = await Promise.race([beginning(next), late])
  clearTimeout(timer)
  return words.test(text)
}

async function beginning(next: () => Promise<Buffer | undefined>): Promise<string> {
  const pieces: Buffer[] = []
  let length = 0
  try {
    while (length < maxBytes) {
      const piece = await next()
      if (piece === undefined) break
      // Its memory may be used again.
      pieces.push(Buffer.from(piece.subarray(0, maxBytes - length)))
      length += piece.length
    }
  } catch {
    return ''
  }
  return Buffer.concat(pieces).toString('utf8')
}
