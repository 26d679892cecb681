import { Pipeline } from '@conveyor/chaos'
import { afterAll, beforeAll, inject } from 'vitest'
import { Stack } from './stack.ts'
import { root } from './versions.ts'

/** Has a service load the SDK, as `--import @conveyor/telemetry` does. */
export const TELEMETRY = `--import=${new URL('telemetry/dist/start.js', root)}`

export interface Watched {
  readonly pipeline: Pipeline
  readonly stack: Stack
}

/** A pipeline that is watched by a stack of its own, for all tests of a file. */
export function useWatchedPipeline(
  env: NodeJS.ProcessEnv = {},
  collectorEnv: NodeJS.ProcessEnv = {},
): () => Watched {
  const binaries = inject('binaries')
  let watched: Watched | undefined
  beforeAll(async () => {
    if (!binaries) return
    // Where to send is known when the stack is there, which needs the pipeline's Redis.
    const sending: NodeJS.ProcessEnv = { NODE_OPTIONS: TELEMETRY, ...env }
    const pipeline = await Pipeline.start(sending)
    const stack = await Stack.start({ binaries, redisUrl: pipeline.redis.url, collectorEnv })
    Object.assign(sending, stack.env)
    watched = { pipeline, stack }
  })
  afterAll(async () => {
    await watched?.pipeline.close()
    await watched?.stack.close()
  })
  return () => {
    if (!watched) throw new Error('there is no stack')
    return watched
  }
}

/** Does something; should it fail, says what the parts said last. */
export async function explained<T>({ pipeline, stack }: Watched, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    console.error(`${pipeline.explain()}\n${stack.explain()}`)
    throw error
  }
}
