import { findRedisServer } from '@conveyor/redis'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Path of the Redis server that tests start. */
    redisServer: string
  }
}

/** Finds the Redis server, or installs one, once for all test files. */
export default async function setup(project: TestProject): Promise<void> {
  const { path } = await findRedisServer({ log: line => process.stderr.write(`${line}\n`) })
  project.provide('redisServer', path)
}
