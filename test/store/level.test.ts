import { onTestFinished } from 'vitest'
import { createLevelStore } from '../../src/store/level.ts'
import { put, storeContract, write } from '../contracts/store.ts'
import { temporaryDirectory } from '../support/directory.ts'

storeContract('level', async ({ progressIntervalMs }) => {
  const directory = await temporaryDirectory()
  const open = async () => {
    const store = await createLevelStore({
      directory,
      logged: ['tag/', 'object/'],
      progressIntervalMs,
      retainRevisions: 5000,
    })
    onTestFinished(() => store.close())
    return store
  }
  const store = await open()
  return {
    store,
    reopen: async () => {
      await store.close()
      return open()
    },
    compact: async () => {
      await Promise.all(Array.from({ length: 6000 }, (_, i) => write(store, put('object/filler', String(i)))))
    },
  }
})
