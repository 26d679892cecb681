import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { confirmed, demandTerminal } from './confirm.ts'

function terminal() {
  const [input, output] = [new PassThrough(), new PassThrough()]
  return { input: Object.assign(input, { isTTY: true }), output: Object.assign(output, { isTTY: true }) }
}

const never = new AbortController().signal

test.for([
  ['y', true],
  ['Yes', true],
  [' y ', true],
  ['n', false],
  ['', false],
  ['yeah', false],
] as const)('%j: %s', async ([typed, expected]) => {
  const at = terminal()
  at.input.write(`${typed}\n`)
  expect(await confirmed('Purge 3 dead letters?', never, at)).toBe(expected)
  expect(`${at.output.read()}`).toContain('Purge 3 dead letters? [y/N] ')
})

test('the end of input, and being stopped, are no', async () => {
  const at = terminal()
  at.input.end()
  expect(await confirmed('?', never, at)).toBe(false)
  const stop = new AbortController()
  const asked = confirmed('?', stop.signal, terminal())
  stop.abort()
  expect(await asked).toBe(false)
})

test('nobody can be asked in a pipe', () => {
  const { input, output } = terminal()
  expect(() => demandTerminal({ input, output: new PassThrough() })).toThrow('--yes')
  expect(() => demandTerminal({ input: new PassThrough(), output })).toThrow('--yes')
  expect(() => demandTerminal({ input, output })).not.toThrow()
})
