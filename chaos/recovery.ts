import { handling } from './inject.ts'
import { Pipeline } from './pipeline.ts'
import { type ServiceProcess, until } from './service-process.ts'

export interface Recovery {
  /** For each kill, ms until everything that was pending for the victim was committed by others. */
  readonly times: number[]
  /** For each kill, how many entries that was. */
  readonly pending: number[]
  /** Packages that went through, each exactly once. */
  readonly packages: number
}

export interface RecoveryOptions {
  readonly kills: number
  /** Packages per second. */
  readonly rate?: number
  readonly consumers?: number
}

/**
 * Kills one of several consumers under load, with default settings, again and again, and measures how
 * long its entries wait for another consumer. The handler takes 5 ms, so that there are some. Throws
 * unless every package comes out exactly once.
 */
export async function measureRecovery({
  kills,
  rate = 2000,
  consumers = 3,
}: RecoveryOptions): Promise<Recovery> {
  const pipeline = await Pipeline.start()
  try {
    const start = (id: string) => pipeline.consumer(id, handling({ does: 'wait', ms: 5 }))
    const running = Array.from({ length: consumers }, (_, index) => start(`c${index + 1}`))
    pipeline.producer(0, { RATE: String(rate) })
    const times: number[] = []
    const pending: number[] = []
    while (times.length < kills) {
      for (const consumer of running) await consumer.logged('session opened')
      const { done } = await pipeline.inspect()
      await pipeline.committed(done + rate / 2)
      const at = Math.floor(Math.random() * consumers)
      const found = await killOne(pipeline, running[at] as ServiceProcess)
      if (found) {
        times.push(found.ms)
        pending.push(found.entries)
      }
      running[at] = start((running[at] as ServiceProcess).name)
    }
    for (const consumer of running) await consumer.logged('session opened')
    const packages = await pipeline.endProducing()
    await pipeline.expectExactlyOnce(packages)
    return { times, pending, packages }
  } finally {
    await pipeline.close()
  }
}

/** Undefined when nothing was pending for the victim. */
async function killOne(
  pipeline: Pipeline,
  victim: ServiceProcess,
): Promise<{ ms: number; entries: number } | undefined> {
  const killed = performance.now()
  await victim.kill()
  const entries = new Set(await pipeline.pending(victim.name))
  if (entries.size === 0) return undefined
  await until(
    async () => !(await pipeline.pending()).some(id => entries.has(id)),
    `what was pending for ${victim.name} is committed`,
    60_000,
    () => pipeline.explain(),
  )
  return { ms: performance.now() - killed, entries: entries.size }
}

/** The value that `share` (0 to 1) of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** The times as text: p50, p90, p99 and the longest, and a bar for every 100 ms. */
export function recoveryHistogram({ times, pending, packages }: Recovery, step = 100): string {
  const ms = (value: number) => `${Math.round(value)} ms`
  const lines = [
    `${times.length} kills, ${packages} packages exactly once, ${quantile(pending, 0.5)} entries pending at a kill (median)`,
    `p50 ${ms(quantile(times, 0.5))}   p90 ${ms(quantile(times, 0.9))}   p99 ${ms(quantile(times, 0.99))}   max ${ms(Math.max(...times))}`,
  ]
  const bins = times.map(time => Math.floor(time / step))
  for (let bin = Math.min(...bins); bin <= Math.max(...bins); bin++) {
    const count = bins.filter(one => one === bin).length
    lines.push(`${`${bin * step}`.padStart(6)} ms  ${'#'.repeat(count)}${count ? ` ${count}` : ''}`)
  }
  return lines.join('\n')
}
