import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import demo from './demo-handler.ts'
import { loadHandler } from './handler.ts'

const OPTIONS = {
  'options.mjs': 'export const concurrency = 3, timeout = 0, maxAttempts = 1',
  'none-at-once.mjs': 'export const concurrency = 0',
  'half.mjs': 'export const maxAttempts = 2.5',
  'text.mjs': 'export const timeout = "1 s"',
  'function.mjs': 'export const timeout = () => 5',
  'bigint.mjs': 'export const timeout = 10n',
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conveyor-handler-'))
  await writeFile(join(folder, 'good.mjs'), 'export default message => "line " + message.package')
  await writeFile(join(folder, 'none.mjs'), 'export const handler = () => {}')
  await writeFile(join(folder, 'null.mjs'), 'throw null')
  await writeFile(join(folder, 'broken.mjs'), 'export default (')
  await writeFile(join(folder, 'throws.mjs'), 'throw new Error("no database\\nat all")')
  await writeFile(join(folder, 'package.mjs'), 'import "@conveyor/stream"; export default () => {}')
  for (const [file, options] of Object.entries(OPTIONS))
    await writeFile(join(folder, file), `export default () => {}; ${options}`)
})
afterAll(() => rm(folder, { recursive: true }))

test('loads the default export', async () => {
  const { handler } = await loadHandler(join(folder, 'good.mjs'))
  expect(handler({ package: 7 } as never, {} as never)).toBe('line 7')
})

test('without a path, leaves the line to the sink', async () => {
  expect((await loadHandler(undefined)).handler({} as never, {} as never)).toBeUndefined()
})

test('without a path, a stage that sends on sends what came: the body, or all that a producer says', async () => {
  const { handler } = await loadHandler(undefined, true)
  const sent = (payload: object) => handler({ payload } as never, {} as never)
  expect(sent({ package: 1, body: null })).toEqual([null])
  expect(sent({ package: 1, body: [1, 2] })).toEqual([[1, 2]])
  expect(sent({ package: 1, type: 'query', query: '1 + 1' })).toEqual([{ type: 'query', query: '1 + 1' }])
})

test('takes what the module exports about how to call it', async () => {
  expect(await loadHandler(join(folder, 'options.mjs'))).toMatchObject({
    concurrency: 3,
    timeout: 0,
    maxAttempts: 1,
  })
  expect(Object.keys(await loadHandler(join(folder, 'good.mjs')))).toEqual(['handler'])
})

test('the demonstration goes by its name', async () => {
  expect((await loadHandler('demo')).handler).toBe(demo)
})

test.each([
  ['none.mjs', 'a module whose default export is a function is allowed'],
  ['broken.mjs', 'cannot be loaded'],
  ['missing.mjs', 'cannot be loaded'],
  ['throws.mjs', 'cannot be loaded: no database'],
  ['package.mjs', 'keep it in a folder inside the project, or install the package beside it'],
  ['null.mjs', 'cannot be loaded: null'],
  ['bigint.mjs', 'it exports timeout = 10: a whole number from 0 to 86400000 is allowed'],
  ['none-at-once.mjs', 'it exports concurrency = 0: a whole number from 1 to 10000 is allowed'],
  ['half.mjs', 'it exports maxAttempts = 2.5: a whole number from 1 to 1000 is allowed'],
  ['text.mjs', 'it exports timeout = "1 s": a whole number from 0 to 86400000 is allowed'],
  ['function.mjs', 'it exports timeout = function: a whole number from 0 to 86400000 is allowed'],
])('refuses %s in one line', async (file, message) => {
  const error = await loadHandler(join(folder, file)).catch(error => error)
  expect(error.name).toBe('ConfigError')
  expect(error.message).toContain(message)
  expect(error.message).not.toContain('\n')
})
