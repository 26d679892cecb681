import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  resolve: { conditions: ['conveyor-source'] },
  ssr: { resolve: { conditions: ['conveyor-source'] } },
  test: {
    include: ['tests/stack/*.test.ts'],
    globalSetup: ['tests/setup.ts', 'tests/stack/setup.ts'],
    // Each file has a Collector, a Jaeger and a Prometheus of its own; two at once would be slow.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
})
