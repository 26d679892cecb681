import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, until, useRedis } from '../tests/redis.ts'
import { type ConsumeOptions, consume } from './consume.ts'
import type { Finished, Origin, Refused, Sink } from './sink.ts'

const on = useRedis()

/** Keeps what it is given by the identity that the contract names. */
class Shelf implements Sink {
  readonly kept = new Map<string, Finished>()
  readonly batches: number[] = []
  readonly origins = new Set<string>()
  /** Called before anything is kept; may throw, or wait. */
  before: (signal: AbortSignal) => Promise<unknown> = async () => {}
  /** Called after all is kept: as if the answer were lost. */
  after: () => Promise<unknown> = async () => {}
  refuses: (n: number) => boolean = () => false

  async store(packages: readonly Finished[], origin: Origin, signal: AbortSignal): Promise<Refused> {
    await this.before(signal)
    const refused = new Map<string, string>()
    for (const one of packages) {
      const { id, entry, package: n } = one.message
      if (this.refuses(n)) refused.set(entry, `not number ${n}`)
      else if (!this.kept.has(id)) this.kept.set(id, one)
    }
    this.batches.push(packages.length)
    this.origins.add(`${origin.stream} ${origin.group} ${origin.consumer}`)
    await this.after()
    return refused
  }

  get numbers(): number[] {
    return [...this.kept.values()].map(({ message }) => message.package).sort((a, b) => a - b)
  }
}

function start(b: Bench, sink: Sink, more: Partial<ConsumeOptions> = {}): { end(): Promise<void> } {
  const { outputDirectory: _none, ...options } = b.options('c1')
  const stop = new AbortController()
  const ended = new Promise<void>((complete, error) => {
    const subscription = consume({
      ...options,
      stop: stop.signal,
      sink,
      handler: ({ package: n }) => n * 2,
      ...more,
    }).subscribe({ complete, error })
    onTestFinished(() => subscription.unsubscribe())
  })
  ended.catch(() => {})
  return {
    end: () => {
      stop.abort()
      return ended
    },
  }
}

const pending = async (b: Bench) => (await b.pending()).length
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

test('packages are stored, with what their handler returned, before they are acknowledged', async () => {
  const b = await bench(on)
  await b.fill(2500)
  const shelf = new Shelf()
  const seen: number[] = []
  shelf.before = async () => {
    seen.push(await pending(b))
  }
  const consumer = start(b, shelf)
  await until(async () => (await b.count('done:c1')) === 2500, 'all are done')
  await consumer.end()
  expect(shelf.numbers).toEqual(upTo(2500))
  for (const { message, result } of shelf.kept.values()) expect(result).toBe(message.package * 2)
  expect(Math.max(...shelf.batches)).toBeLessThanOrEqual(1000)
  expect(Math.min(...seen)).toBeGreaterThan(0)
  expect([...shelf.origins]).toEqual([`${b.keys.stream} workers c1`])
})

test('while the sink fails nothing is acknowledged and reading stops; then all goes on', async () => {
  const b = await bench(on)
  await b.fill(5000)
  const shelf = new Shelf()
  let away = true
  shelf.before = async () => {
    if (away) throw new Error('away')
  }
  let handled = 0
  const consumer = start(b, shelf, { handler: () => void handled++ })
  await until(() => b.of('outputBlocked').length > 0, 'it says that it is blocked')
  await until(async () => (await pending(b)) >= 2000, 'as much is in hand as may be')
  expect(b.of('outputBlocked')).toHaveLength(1)
  expect(await pending(b)).toBe(2000)
  expect(await b.count('done:c1')).toBe(0)
  away = false
  await until(async () => (await b.count('done:c1')) === 5000, 'all are done')
  await consumer.end()
  expect(b.of('outputResumed')).toHaveLength(1)
  expect(shelf.numbers).toEqual(upTo(5000))
  expect(handled, 'nothing is handled again').toBe(5000)
})

test('what it refuses goes to the dead letters, the others of the batch are done', async () => {
  const b = await bench(on)
  await b.fill(100)
  const shelf = new Shelf()
  shelf.refuses = n => n % 10 === 0
  const consumer = start(b, shelf)
  await until(async () => (await b.count('done:c1')) + (await b.count('dead')) === 100, 'all are settled')
  await consumer.end()
  const letters = await b.dead()
  expect(letters.map(letter => Number(letter.package))).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
  expect(letters[0]).toMatchObject({ reason: 'refused by the sink', detail: 'not number 10', attempts: '1' })
  expect(shelf.numbers).toEqual(upTo(100).filter(n => n % 10 !== 0))
  expect(b.of('stored').reduce((sum, { count, refused }) => sum + count + refused, 0)).toBe(100)
})

test('an answer that is lost: it is stored again, and counts once', async () => {
  const b = await bench(on)
  await b.fill(50)
  const shelf = new Shelf()
  let lost = 0
  shelf.after = async () => {
    if (lost++ === 0) throw new Error('the answer was lost')
  }
  const consumer = start(b, shelf)
  await until(async () => (await b.count('done:c1')) === 50, 'all are done')
  await consumer.end()
  expect(lost).toBeGreaterThan(1)
  expect(shelf.numbers).toEqual(upTo(50))
})

test('a session that ends while it is being stored: the signal says so, and another one stores it', async () => {
  const b = await bench(on)
  await b.fill(50)
  const shelf = new Shelf()
  let told = false
  shelf.before = async signal => {
    shelf.before = async () => {}
    await b.redis.hset(b.keys.sessions, 'c1', 'somebody else')
    await sleep(10_000, undefined, { signal }).catch(() => {
      told = true
    })
    throw new Error('called off')
  }
  start(b, shelf)
  await until(() => told, 'the signal is aborted')
  const peer = start(b, shelf, { consumer: 'c2' })
  await until(async () => (await b.count('done:c1')) + (await b.count('done:c2')) === 50, 'all are done')
  await peer.end()
  expect(shelf.numbers).toEqual(upTo(50))
})

test('failures and retries are settled beside what is stored', async () => {
  const b = await bench(on)
  await b.fill(40)
  const shelf = new Shelf()
  const consumer = start(b, shelf, {
    handler: ({ package: n, attempt }) => {
      if (n % 4 === 0 && attempt === 1) throw new Error('at first')
    },
    settings: { ...b.options('c1').settings, retryDelay: 5 },
  })
  await until(async () => (await b.count('done:c1')) === 40, 'all are done')
  await consumer.end()
  expect(shelf.numbers).toEqual(upTo(40))
  expect(await b.count('retried')).toBe(10)
})

test('with two batches under way it is blocked as long as one of them is', async () => {
  const b = await bench(on)
  await b.fill(2000)
  const shelf = new Shelf()
  Object.assign(shelf, { concurrency: 2 })
  let away = true
  const first = shelf.store.bind(shelf)
  // The batch with package 1 is taken only in the end.
  shelf.store = async (packages, ...rest) => {
    if (away && packages.some(({ message }) => message.package === 1)) throw new Error('not this one')
    return first(packages, ...rest)
  }
  const consumer = start(b, shelf, { settings: { ...b.options('c1').settings, batch: 100 } })
  await until(async () => (await b.count('done:c1')) >= 1000, 'the others are done')
  expect(b.of('outputBlocked')).toHaveLength(1)
  expect(b.of('outputResumed')).toHaveLength(0)
  away = false
  await until(async () => (await b.count('done:c1')) === 2000, 'all are done')
  await consumer.end()
  expect(b.of('outputResumed')).toHaveLength(1)
})
