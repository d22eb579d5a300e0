/** `npm run bench -- NAME`: measures, prints the method and the table, and sets no exit code by speed. */
const benches: Record<string, () => Promise<{ run(): Promise<void> }>> = {
  pull: () => import('./pull.ts'),
  blobs: () => import('./blobs.ts'),
  api: () => import('./api.ts'),
  hostile: () => import('./hostile.ts'),
  oracle: () => import('./oracle.ts'),
  revocation: () => import('./revocation.ts'),
  collect: () => import('./collect.ts'),
  sweep: () => import('./sweep.ts'),
}

const name = process.argv[2] ?? ''
const load = benches[name]
if (load === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join('|')}`)
  process.exitCode = 2
} else {
  await (await load()).run()
}
