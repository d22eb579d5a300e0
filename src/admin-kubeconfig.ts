import { parse, stringify } from 'yaml'
import { z } from 'zod'
import type { Admin } from './access/access.ts'
import { readIfThere, replaceFile } from './http/whole-files.ts'

export interface AdminKubeconfigOptions {
  file: string
  /** `tls.publicUrl`. */
  server: string
  /** PEM of Weir's own authority; undefined where the certificate is one that the system trusts. */
  authority: string | undefined
  admin: Admin
}

/** What cluster, context and user are called. */
const name = 'weir'

/**
 * Writes the kubeconfig of the admin, mode 0600. The token in a file that is there stays; server and authority are put
 * right. Deleting the file and starting again makes a new token and ends the old.
 *
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
export async function writeAdminKubeconfig({ file, server, authority, admin }: AdminKubeconfigOptions): Promise<void> {
  const before = await readIfThere(file)
  const known = before === undefined ? undefined : tokenIn(before)
  const made = await admin.ensureAdmin({ kubeconfigExists: known !== undefined })
  const token = made ?? known
  if (token === undefined) throw new TypeError('the admin has no token')
  const text = stringify(kubeconfig(server, authority, token))
  if (text === before) return
  await replaceFile(file, text, 0o600)
}

function kubeconfig(server: string, authority: string | undefined, token: string): object {
  const data =
    authority === undefined ? {} : { 'certificate-authority-data': Buffer.from(authority).toString('base64') }
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, ...data } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
}

const shape = z.object({ users: z.array(z.object({ name: z.string(), user: z.object({ token: z.string() }) })) })

function tokenIn(text: string): string | undefined {
  try {
    return shape.safeParse(parse(text)).data?.users.find((entry) => entry.name === name)?.user.token
  } catch {
    return undefined
  }
}
