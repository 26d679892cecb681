import { Pipeline, type RedisProxy, startProxy } from '@conveyor/chaos'
import { expect, onTestFinished, vi } from 'vitest'

// Real processes on a machine that may be busy with others: what is waited for has a deadline of its own.
vi.setConfig({ testTimeout: 300_000 })

/**
 * A pipeline that ends with its test, which fails if it has left a process behind. The files of a test
 * that failed are kept.
 */
export async function startPipeline(env: NodeJS.ProcessEnv = {}): Promise<Pipeline> {
  const pipeline = await Pipeline.start(env)
  onTestFinished(async ({ task }) => {
    const failed = task.result?.state === 'fail'
    const left = await pipeline.close({ keepFiles: failed })
    if (failed) console.error(`${pipeline.explain()}\nkept: ${pipeline.dir}`)
    else expect(left, 'processes that the test left behind').toEqual([])
  })
  return pipeline
}

/** A wire to the pipeline's Redis that can be made to fail; for services started with its URL. */
export async function startWire(pipeline: Pipeline): Promise<RedisProxy> {
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: pipeline.redis.port } })
  onTestFinished(() => proxy.close())
  return proxy
}

/** Settings with which a silent consumer is taken for dead after half a second. */
export const QUICK_DEATH = { BEAT_INTERVAL_MS: '50', DEATH_BEATS: '10' }
