import { configDefaults, defineConfig } from 'vitest/config'
import { LEFT_OUT } from './tests/installed.ts'

for (const { package: name, files } of LEFT_OUT)
  console.warn(`${files.length} files of tests are left out, which need ${name}: apt-get install ${name}`)

export default defineConfig({
  // Workspace packages are tested from their sources, never from a stale build.
  resolve: { conditions: ['conveyor-source'] },
  ssr: { resolve: { conditions: ['conveyor-source'] } },
  test: {
    include: ['*/*.test.ts', 'cli/*/*.test.ts', 'console/page/**/*.test.{ts,tsx}'],
    exclude: [...configDefaults.exclude, ...LEFT_OUT.flatMap(({ files }) => files)],
    globalSetup: ['tests/setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
})
