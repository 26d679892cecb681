import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Workspace packages are tested from their sources, never from a stale build.
  resolve: { conditions: ['conveyor-source'] },
  ssr: { resolve: { conditions: ['conveyor-source'] } },
  test: {
    include: ['*/*.test.ts', 'cli/*/*.test.ts', 'console/page/**/*.test.{ts,tsx}'],
    globalSetup: ['tests/setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
})
