import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadHandler } from './handler.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conveyor-handler-'))
  await writeFile(join(folder, 'good.mjs'), 'export default message => "line " + message.package')
  await writeFile(join(folder, 'none.mjs'), 'export const handler = () => {}')
  await writeFile(join(folder, 'broken.mjs'), 'export default (')
})
afterAll(() => rm(folder, { recursive: true }))

test('loads the default export', async () => {
  const { handler } = await loadHandler(join(folder, 'good.mjs'))
  expect(handler({ package: 7 } as never, {} as never)).toBe('line 7')
})

test('without a path, leaves the line to the sink', async () => {
  expect((await loadHandler(undefined)).handler({} as never, {} as never)).toBeUndefined()
})

test.each([
  ['none.mjs', 'a module whose default export is a function is allowed'],
  ['broken.mjs', 'cannot be loaded'],
  ['missing.mjs', 'cannot be loaded'],
])('refuses %s in one line', async (file, message) => {
  const error = await loadHandler(join(folder, file)).catch(error => error)
  expect(error.name).toBe('ConfigError')
  expect(error.message).toContain(message)
  expect(error.message).not.toContain('\n')
})
