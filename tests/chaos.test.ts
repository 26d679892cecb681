import { join } from 'node:path'
import { chaos, KINDS, type Kind, root, ServiceProcess, summary } from '@conveyor/chaos'
import { describe, expect, test, vi } from 'vitest'

const SEED = Number(process.env.CHAOS_SEED || Date.now() % 1_000_000)

vi.setConfig({ testTimeout: 300_000 })

const options = {
  consumers: 3,
  producers: 2,
  rate: 2000,
  appendfsync: 'always' as const,
  seed: SEED,
  packages: 20_000,
}

test('faults of all kinds: exactly once', async () => {
  const result = await chaos({ ...options, kinds: KINDS, every: 400, forMs: 30_000 })
  console.log(summary(result))
  expect(result.strange).toEqual([])
  expect(result.verdict).toMatchObject({ ok: true, waiting: 0 })
  expect(result.verdict.produced).toBeGreaterThanOrEqual(20_000)
})

test.each([
  ['--faults', 'kill,meteor', 'meteor is none of kill, pause'],
  ['--minutes', 'ten', 'A number from 0.05 to 1440 is allowed'],
  ['--seed', '-1', 'A whole number from 0 to 4294967295 is allowed'],
])('an option that cannot be used: %s %s', async (option, value, message) => {
  const command = new ServiceProcess('chaos', join(root, 'chaos/dist/main.js'), [option, value], {
    env: process.env,
    cwd: root,
  })
  expect(await command.ended()).toEqual({ code: 2, signal: null })
  expect(command.output.trim().split('\n')).toEqual([expect.stringContaining(message)])
  expect(command.output).toContain(value)
})

// Only root may have disks whose power can be cut.
describe.runIf(process.getuid?.() === 0)('what a power cut shows', () => {
  const cuts = { ...options, kinds: ['flush-none'] as Kind[], every: 2000, forMs: 10_000, packages: 0 }

  test('consumers that say they have flushed, and have not', async () => {
    const preload = join(root, 'chaos/inject/no-flush.mjs')
    const { verdict, strange } = await chaos({ ...cuts, env: { NODE_OPTIONS: `--import=${preload}` } })
    expect(strange.join()).toContain('OutputDamaged')
    expect(verdict.ok).toBe(false)
  })

  test('a Redis that answers before it has flushed', async () => {
    const { verdict } = await chaos({ ...cuts, appendfsync: 'everysec' })
    expect(verdict).toMatchObject({ ok: false, balanced: true })
    expect(verdict.toldTwice.count).toBeGreaterThan(0)
    // What came out is still what Redis knows: it gives numbers out again, and each comes out once.
    expect(verdict.duplicated.count + verdict.corrupt.count).toBe(0)
  })
})
