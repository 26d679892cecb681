import { expect, test } from 'vitest'
import { asciiJson, printable, shownLine } from './printable.ts'

test('a path keeps its letters and loses what a terminal acts on', () => {
  expect(printable('/home/josé/出力')).toBe('/home/josé/出力')
  expect(printable('a\x1b[31m\n\x9b\u202eb\ud800')).toBe('a\\u{1b}[31m\\u{a}\\u{9b}\\u{202e}b\\u{d800}')
})

test('a line becomes printable ASCII', () => {
  expect(shownLine(Buffer.from('a\\b \x00\x1b[2J\x7fé'))).toBe('a\\\\b \\x00\\x1b[2J\\x7f\\xc3\\xa9')
})

test('a long line is shortened', () => {
  expect(shownLine(Buffer.from('x'.repeat(80)))).toBe('x'.repeat(80))
  expect(shownLine(Buffer.from('x'.repeat(81)))).toBe(`${'x'.repeat(80)}…`)
  expect(shownLine(Buffer.from('xyz'), 1000)).toBe('xyz…')
})

test('JSON is ASCII and the same value', () => {
  const value = { text: 'a…\x9b\u202e😀' }
  expect(asciiJson(value)).toMatch(/^[ -~\n]*$/)
  expect(JSON.parse(asciiJson(value))).toEqual(value)
})
