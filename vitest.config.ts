import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/interop/**', 'test/soak/**', 'test/bench/**'],
          testTimeout: 30_000,
        },
      },
    ],
  },
})
