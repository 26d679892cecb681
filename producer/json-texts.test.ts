import fc from 'fast-check'
import { expect, test } from 'vitest'
import { elementsOf, LineTooLong, linesOf } from './json-texts.ts'

/** Bytes in pieces of these sizes, over and over. */
async function* cut(bytes: Buffer, sizes: number[]): AsyncGenerator<Buffer> {
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] as number
    yield bytes.subarray(at, at + size)
    at += size
  }
}
const lines = async (text: string, sizes: number[], most = 1e6) => {
  const found: string[] = []
  for await (const line of linesOf(cut(Buffer.from(text), sizes), most)) found.push(line.toString())
  return found
}

test('bytes are split at newlines, wherever they are cut', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', '"', 'ü', '🚚', '\u2028', '\r', ' ') })),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      fc.boolean(),
      async (texts, sizes, ended) => {
        const text = texts.join('\n') + (ended ? '\n' : '')
        const expected = text === '' ? [] : text.replace(/\n$/, '').split('\n')
        expect(await lines(text, sizes)).toEqual(expected)
      },
    ),
  ))

test.each([
  ['ended', `aaaaa\n${'b'.repeat(11)}\n`],
  ['not ended', `aaaaa\n${'b'.repeat(11)}`],
])('a line that is too long and %s is refused, after those before it', async (_, text) => {
  const found: string[] = []
  const reading = (async () => {
    for await (const line of linesOf(cut(Buffer.from(text), [4]), 10)) found.push(line.toString())
  })()
  await expect(reading).rejects.toThrow(LineTooLong)
  expect(found).toEqual(['aaaaa'])
  expect(await lines(`${'b'.repeat(10)}\n`, [3], 10)).toEqual(['b'.repeat(10)])
})

test('the texts of an array are those of its elements', () =>
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (values, indent) => {
      const texts = elementsOf(` ${JSON.stringify(values, null, indent)}\n`)
      expect(texts.map(text => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(values)))
    }),
  ))

test('what JavaScript cannot hold stays as it is', () => {
  const texts = ['12345678901234567890', '{"a":1.10,"b":[1,2,"],["]}', '"\\"\\\\"', '{"a":1,"a":2}']
  expect(elementsOf(`[${texts.join(' ,\n')}]`)).toEqual(texts)
})
