import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { forget, go, type Peer, startPeers } from './peers.ts'
import { end } from './processes.ts'

const QUEUE = 'bench_peer_recovery'

/** Three workers, each with as many jobs of 100 ms in hand as this, so that a killed one leaves some behind. */
const SETTING = { processes: 1, concurrency: 10 }
const WORKERS = 3

/** Jobs a second that are added meanwhile. */
const RATE = 150

/**
 * Kills one of three BullMQ workers under load, at its defaults (a lock of 30 s, a look for stalled jobs every 30 s), again
 * and again: for each kill, ms until all jobs that it had in hand were finished by others.
 */
export async function bullmqRecovery(
  redis: Redis,
  peer: Peer,
  kills: number,
  progress: (kill: number) => void,
): Promise<number[]> {
  const worker = async () => {
    const children = await startPeers(redis, peer, 'consume', QUEUE, SETTING, { handlerMs: 100 })
    go(children)
    return children[0] as ChildProcess
  }
  const total = RATE * 24 * 3600
  const [producer] = await startPeers(
    redis,
    peer,
    'produce',
    QUEUE,
    { processes: 1, bulk: RATE / 10 },
    { total, everyMs: 100 },
  )
  const running = await Promise.all(Array.from({ length: WORKERS }, worker))
  const times: number[] = []
  try {
    go([producer as ChildProcess])
    while (times.length < kills) {
      progress(times.length + 1)
      await sleep(2000 + Math.random() * 5000) // at no fixed time between two looks
      const at = times.length % WORKERS
      const victim = running[at] as ChildProcess
      victim.kill('SIGKILL')
      const killed = performance.now()
      const held = await stuck(redis)
      if (held.length > 0) {
        await finished(redis, held)
        times.push(performance.now() - killed)
      }
      running[at] = await worker()
    }
    return times
  } finally {
    await end([producer as ChildProcess, ...running], 'SIGKILL')
    await forget(redis, peer, QUEUE)
  }
}

/** The jobs that are active and stay so, although each takes 100 ms. */
async function stuck(redis: Redis): Promise<string[]> {
  const before = await redis.lrange(`bull:${QUEUE}:active`, 0, -1)
  await sleep(1000)
  const after = new Set(await redis.lrange(`bull:${QUEUE}:active`, 0, -1))
  return before.filter(id => after.has(id))
}

/** A finished job is removed. */
async function finished(redis: Redis, ids: string[]): Promise<void> {
  while ((await redis.exists(...ids.map(id => `bull:${QUEUE}:${id}`))) > 0) await sleep(20)
}
