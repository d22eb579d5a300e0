import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { answers, type Finished, freePort, must, run, type Service, startService } from './process.ts'

/** A Weir of its own process, and its command line. */
export interface RunningWeir extends Service {
  /** `localhost:PORT`, the registry as clients name it. */
  host: string
  url: string
  apiUrl: string
  directory: string
  kubeconfig: string
  /** Of its two listeners. */
  ports: Ports
  /** Runs a verb that must succeed; answers stdout. */
  weir(...args: string[]): Promise<string>
  /** Runs a verb that may fail. */
  tryWeir(...args: string[]): Promise<Finished>
}

/** Where plain HTTP and HTTPS are, on 127.0.0.1. */
export interface Ports {
  http: number
  https: number
}

const main = resolve(import.meta.dirname, '../../../src/main.js')

/**
 * Starts Weir in `directory`, with `config` merged over the least that it needs: on the data that is there, and on free
 * ports unless they are given.
 */
export async function startWeir(
  directory: string,
  config: Record<string, unknown> = {},
  ports?: Ports,
): Promise<RunningWeir> {
  const { http: port, https: tlsPort } = ports ?? { http: await freePort(), https: await freePort() }
  const host = `localhost:${port}`
  const data = join(directory, 'data')
  const file = join(directory, 'weir.yaml')
  await writeFile(
    file,
    stringify({
      listen: `127.0.0.1:${port}`,
      publicUrl: `http://${host}`,
      tls: { listen: `127.0.0.1:${tlsPort}`, publicUrl: `https://localhost:${tlsPort}` },
      data,
      ...config,
    }),
  )
  const service = await startService(process.execPath, [main, 'serve', '--config', file], {
    cwd: directory,
    logFile: join(directory, 'weir.log'),
    ready: () => answers(`http://127.0.0.1:${port}/readyz`),
  })
  const env = { KUBECONFIG: join(data, 'admin.kubeconfig') }
  return {
    ...service,
    host,
    url: `http://127.0.0.1:${port}`,
    apiUrl: `https://localhost:${tlsPort}`,
    directory,
    kubeconfig: env.KUBECONFIG,
    ports: { http: port, https: tlsPort },
    weir: (...args) => must(process.execPath, [main, ...args], { cwd: directory, env }),
    tryWeir: (...args) => run(process.execPath, [main, ...args], { cwd: directory, env }),
  }
}
