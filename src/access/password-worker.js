/**
 * Compares passwords with bcrypt hashes on a thread of its own: one comparison takes as long as thousands of requests.
 * In JavaScript, since a thread that has to strip types loads Node's TypeScript compiler and keeps its 14 MB.
 */
import { parentPort } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

parentPort?.on('message', (/** @type {{ password: string, hash: string }} */ { password, hash }) => {
  parentPort?.postMessage(compareSync(password, hash))
})
