import { appendFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import type { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type Bench, bench, done, settle, useRedis } from '../tests/redis.ts'
import { OutputWriter } from './output.ts'
import { OutputDamaged, OutputFile } from './output-file.ts'
import type { RunFolder } from './run-folder.ts'
import type { Session } from './session.ts'

const on = useRedis()

/** A consumer `a` that has committed one chunk for each of `sizes` entries, and flushed nothing. */
async function committed(b: Bench, ...sizes: number[]) {
  const entries = await b.fill(sizes.reduce((sum, size) => sum + size, 0))
  const session = await b.open('a')
  await b.receive('a', entries.length)
  let at = 0
  for (const size of sizes) {
    await settle(session, done(entries.slice(at, at + size)))
    at += size
  }
  return { entries, session, writer: session.writer as OutputWriter, path: session.run?.file('a') as string }
}
const linesOf = (entries: string[]) => entries.map(entry => `line of ${entry}\n`).join('')
const chunks = (b: Bench) => b.redis.xlen(b.keys.output('a'))
/** Another writer of the same file, as a peer or a later session has it. */
function writerOf(b: Bench, session: Session, redis: Redis = session.logs): OutputWriter {
  const writer = new OutputWriter(redis, b.keys, session.run as RunFolder, 'a')
  onTestFinished(() => writer.close())
  return writer
}
async function more(b: Bench, session: Session): Promise<string[]> {
  const entries = await b.fill(1)
  await b.receive('a', 1)
  await settle(session, done(entries))
  return entries
}

/**
 * A connection that calls `before` ahead of one look at the log, or `after` behind it: the nth look, or the
 * one that makes Redis forget what is on disk.
 */
function intercept(
  redis: Redis,
  look: number | 'forget',
  { before, after }: { before?: () => unknown; after?: () => unknown },
): Redis {
  let looks = 0
  let met = false
  return new Proxy(redis, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (name !== 'callBuffer') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<Redis['callBuffer']>) => {
        const written = args.at(-3)
        const now = !met && (look === 'forget' ? written !== '' : ++looks === look)
        met ||= now
        if (now) await before?.()
        const reply = await target.callBuffer(...args)
        if (now) await after?.()
        return reply
      }
    },
  })
}
/** A machine on which nothing takes time: a writer tells Redis only what it would tell a fast one. */
function instantly(): void {
  const spy = vi.spyOn(performance, 'now').mockReturnValue(performance.now())
  onTestFinished(() => spy.mockRestore())
}
const fail = () => {
  throw new Error('the process dies here')
}

test('a flush writes the log to the file and makes Redis forget it', async () => {
  const b = await bench(on)
  const { entries, writer } = await committed(b, 3, 2, 1)
  const steps: number[][] = []
  const text = linesOf(entries)
  expect(await writer.flush((bytes, to) => steps.push([bytes, to]))).toBe(text.length)
  expect(steps).toEqual([[text.length, text.length]])
  expect([await b.file('a'), await chunks(b)]).toEqual([text, 0])
})

test('a log of many chunks is written in several steps', async () => {
  const b = await bench(on)
  const { entries, writer } = await committed(b, ...Array(40).fill(1))
  await writer.flush()
  expect([await b.file('a'), await chunks(b)]).toEqual([linesOf(entries), 0])
})

test('while there is more to write, Redis is not told of each step', async () => {
  const b = await bench(on)
  const { entries, session, writer } = await committed(b, 3)
  instantly()
  const kept: number[] = []
  const another = async () => {
    kept.push(await chunks(b))
    if (kept.length === 4) return false
    entries.push(...(await more(b, session)))
    return true
  }
  const steps: number[] = []
  await writer.flush((_, to) => steps.push(to), another)
  expect(kept).toEqual([1, 2, 3, 4])
  expect(steps).toEqual([3, 4, 5, 6].map(n => linesOf(entries.slice(0, n)).length))
  expect([await b.file('a'), await chunks(b)]).toEqual([linesOf(entries), 0])
})

/** A connection that counts how often the log is asked. */
function counted(redis: Redis): { redis: Redis; asked: () => number } {
  let asked = 0
  const proxy = new Proxy(redis, {
    get(target, name) {
      if (name === 'callBuffer') asked++
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { redis: proxy, asked: () => asked }
}

/** A writer that keeps being told of what is committed while it writes, and calls `before` ahead of the nth. */
async function told(before: (nth: number, path: string) => Promise<unknown> = async () => {}) {
  const b = await bench(on)
  const { entries, session, path } = await committed(b, 1)
  const { redis, asked } = counted(session.logs)
  const writer = writerOf(b, session, redis)
  instantly()
  let asks = 0
  let nth = 0
  const another = async () => {
    if (nth === 0) asks = asked()
    if (++nth > 5) return false
    await before(nth, path)
    const added = await more(b, session)
    entries.push(...added)
    writer.committed(session.committed, linesOf(added))
    return true
  }
  const end = writer.flush(undefined, another).then(() => asked() - asks)
  return { b, session, end, text: () => linesOf(entries) }
}

test('what was committed just now is not read from the log, but is forgotten with it', async () => {
  const { b, end, text } = await told()
  expect(await end).toBe(1)
  expect([await b.file('a'), await chunks(b)]).toEqual([text(), 0])
})

test.each([
  ['cut short', 'short', (path: string) => truncate(path, 3)],
  ['added to', 'long', (path: string) => appendFile(path, 'x'.repeat(5000))],
])('a file that was %s between two chunks is found out', async (_, kind, damage) => {
  const { end } = await told(async (nth, path) => nth === 3 && damage(path))
  await expect(end).rejects.toMatchObject({ kind })
})

test('a file that was replaced is not forgotten by Redis, however much more there is to write', async () => {
  const b = await bench(on)
  const { session, writer, path } = await committed(b, 3)
  const until = performance.now() + 5000
  const forever = async () => {
    await rm(path, { force: true })
    await more(b, session)
    return performance.now() < until
  }
  await expect(writer.flush(undefined, forever)).rejects.toMatchObject({ kind: 'replaced' })
  expect(performance.now()).toBeLessThan(until)
  expect(await b.redis.xrange(b.keys.output('a'), '-', '+', 'COUNT', 1)).toMatchObject([
    [expect.stringMatching(/^(\d+)-\1$/), expect.anything()],
  ])
})

test('dying after the commit: the next one writes it', async () => {
  const b = await bench(on)
  const { entries, session } = await committed(b, 2, 3)
  session.dispose()
  const next = await b.open('a', {}, session.token)
  expect(next.committed).toBe(linesOf(entries).length)
  await next.writer?.flush()
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('dying in the middle of writing: the next one writes the same bytes again', async () => {
  const b = await bench(on)
  const { entries, session, path } = await committed(b, 2, 3)
  await writeFile(path, linesOf(entries).slice(0, 17))
  const next = await b.open('a', {}, session.token)
  await next.writer?.flush()
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('dying after writing, before it is on disk: zeros that a host crash left are overwritten', async () => {
  const b = await bench(on)
  const { entries, session, path } = await committed(b, 2, 3)
  await writeFile(path, Buffer.alloc(linesOf(entries).length))
  const next = await b.open('a', {}, session.token)
  await next.writer?.flush()
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('dying when all is on disk, before Redis forgot it: writing again changes nothing', async () => {
  const b = await bench(on)
  const { entries, session } = await committed(b, 2, 3)
  const dying = writerOf(b, session, intercept(session.logs, 'forget', { before: fail }))
  await expect(dying.flush()).rejects.toThrow('dies here')
  expect([await b.file('a'), await chunks(b)]).toEqual([linesOf(entries), 2])
  const next = await b.open('a', {}, session.token)
  const [entry] = (await more(b, next)) as [string]
  await next.writer?.flush()
  expect([await b.file('a'), await chunks(b)]).toEqual([linesOf([...entries, entry]), 0])
})

test('a lost reply to the forgetting does no harm', async () => {
  const b = await bench(on)
  const { entries, session } = await committed(b, 2)
  const writer = writerOf(b, session, intercept(session.logs, 'forget', { after: fail }))
  await expect(writer.flush()).rejects.toThrow('dies here')
  const [entry] = (await more(b, session)) as [string]
  await writer.flush()
  expect(await b.file('a')).toBe(linesOf([...entries, entry]))
})

test('two writers at once, and one that was paused with old bytes in hand, write one file', async () => {
  const b = await bench(on)
  const { entries, session, writer } = await committed(b, ...Array(40).fill(1))
  const paused = writerOf(
    b,
    session,
    intercept(session.logs, 1, {
      after: () =>
        writer
          .flush()
          .then(() => more(b, session))
          .then(found => entries.push(...found))
          .then(() => writer.flush()),
    }),
  )
  await Promise.all([paused.flush(), writerOf(b, session).flush()])
  expect([await b.file('a'), await chunks(b)]).toEqual([linesOf(entries), 0])
})

test('a commit between the look at an empty log and the opening of the file is no damage', async () => {
  const b = await bench(on)
  const { entries, session, writer } = await committed(b, 1)
  await writer.flush()
  const after = async () => void entries.push(...(await more(b, session)))
  await writerOf(b, session, intercept(session.logs, 1, { after })).flush()
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('a commit at any moment of a flush is no damage', async () => {
  for (let look = 1; look <= 4; look++) {
    const b = await bench(on)
    const { entries, session } = await committed(b, 1)
    const commit = async () => void entries.push(...(await more(b, session)))
    for (const at of [{ before: commit }, { after: commit }]) {
      const writer = writerOf(b, session, intercept(session.logs, look, at))
      for (let i = 0; i < 3; i++) await writer.flush()
      await session.writer?.flush()
      expect(await b.file('a')).toBe(linesOf(entries))
    }
  }
})

test('a file that is missing, or was cut short, is not continued', async () => {
  for (const [kind, damage] of [
    ['missing', (path: string) => rm(path)],
    ['short', (path: string) => truncate(path, 5)],
  ] as const) {
    const b = await bench(on)
    const { session, writer, path } = await committed(b, 2)
    await writer.flush()
    await writer.close()
    await damage(path)
    const damaged = { kind, path }
    await expect(writer.flush()).rejects.toMatchObject(damaged) // with nothing to write
    await more(b, session)
    await expect(writer.flush()).rejects.toMatchObject(damaged) // with something to write
    expect(await chunks(b)).toBe(1)
  }
})

test('a file that is cut short while it is open is not continued', async () => {
  const b = await bench(on)
  const { session, writer, path } = await committed(b, 2)
  await writer.flush()
  await truncate(path, 5)
  await more(b, session)
  await expect(writer.flush()).rejects.toMatchObject({ kind: 'short' })
  expect(await chunks(b)).toBe(1)
})

test('a file that is removed or replaced while it is open keeps its lines in Redis', async () => {
  const aside = (path: string) => rename(path, `${path}.1`)
  const copy = async (path: string) => {
    const bytes = await readFile(path)
    await rm(path)
    await writeFile(path, bytes)
  }
  for (const damage of [rm, aside, copy]) {
    const b = await bench(on)
    const { session, writer, path } = await committed(b, 2)
    await writer.flush()
    await damage(path)
    await expect(writer.flush()).rejects.toMatchObject({ kind: 'replaced' })
    const again = writerOf(b, session)
    if (damage === copy) await again.flush() // reopened, the copy is as good as the file
    await more(b, session)
    if (damage !== copy) {
      await expect(again.flush()).rejects.toMatchObject({ kind: 'missing' })
      expect(await chunks(b)).toBe(1)
    }
  }
})

test('foreign bytes in the file are found, whether the log is empty or not, and never by overwriting', async () => {
  for (const open of [true, false]) {
    for (const waiting of [true, false]) {
      const b = await bench(on)
      const { session, writer, path } = await committed(b, 2)
      await writer.flush()
      if (!open) await writer.close()
      await appendFile(path, 'foreign bytes that are longer than the next line is\n')
      if (waiting) await more(b, session)
      await expect(writer.flush()).rejects.toMatchObject({ kind: 'long' })
      expect(await readFile(path, 'utf8')).toContain('\nforeign bytes that are longer')
    }
  }
})

test('a hole in the log is not jumped over', async () => {
  const b = await bench(on)
  const { writer } = await committed(b, 1, 1, 1)
  const [, second] = await b.redis.xrange(b.keys.output('a'), '-', '+')
  await b.redis.xdel(b.keys.output('a'), second?.[0] as string)
  await expect(writer.flush()).rejects.toMatchObject({ kind: 'hole' })
  expect(await chunks(b)).toBe(2)
})

test('a log whose beginning or end is lost is not taken for all there is', async () => {
  for (const [lost, kind] of [
    [0, 'short'],
    [2, 'short'],
  ] as const) {
    const b = await bench(on)
    const { writer } = await committed(b, 1, 1, 1)
    const found = await b.redis.xrange(b.keys.output('a'), '-', '+')
    await b.redis.xdel(b.keys.output('a'), found[lost]?.[0] as string)
    await expect(writer.flush()).rejects.toMatchObject({ kind })
  }
})

test('in a new life of the stream, a process left over writes nothing and makes Redis forget nothing', async () => {
  const b = await bench(on)
  const { entries, writer, path } = await committed(b, 2)
  await b.redis.hset(b.keys.head, 'epoch', 'another')
  await expect(writer.flush()).rejects.toMatchObject({ code: 'EPOCH' })
  expect([await readFile(path, 'utf8'), await chunks(b)]).toEqual(['', 1])
  expect(entries).toHaveLength(2)
})

test('after an error the file is opened anew and written from the first chunk that Redis has', async () => {
  const b = await bench(on)
  const { entries, session } = await committed(b, 1, 1)
  let synced = 0
  const real = OutputFile.prototype.write
  const writer = writerOf(b, session)
  OutputFile.prototype.write = async function (bytes, offset) {
    if (++synced === 1) {
      await real.call(this, Buffer.alloc(bytes.length), offset) // pages that the kernel lost
      throw Object.assign(new Error('EIO'), { syscall: 'fdatasync', code: 'EIO' })
    }
    return real.call(this, bytes, offset)
  }
  try {
    await expect(writer.flush()).rejects.toThrow('EIO')
    await writer.flush()
  } finally {
    OutputFile.prototype.write = real
  }
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('damage names the file, both sizes, and what to do', async () => {
  const b = await bench(on)
  const { writer, path } = await committed(b, 2)
  await writer.flush()
  await truncate(path, 5)
  const error = await writer.flush().catch(found => found)
  expect(error).toBeInstanceOf(OutputDamaged)
  expect(error).toMatchObject({ kind: 'short', size: 5 })
  for (const part of [path, '5 bytes', `expected ${error.expected}`, '--fresh'])
    expect(error.message).toContain(part)
})
