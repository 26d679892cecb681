import { expect, test } from 'vitest'
import { checkName, InvalidName, keysOf } from './keys.ts'

test('all keys of a stream are in one slot of a cluster', () => {
  const keys = keysOf('number_stream', 'consumer_group')
  const { group, lane, idempotency, output, historyOf, ...names } = keys
  const all = [...Object.values(names), lane('p'), idempotency('h'), output('c'), historyOf(7)] as string[]
  // A cluster hashes what stands in the first braces, and the whole name when there are none.
  expect(new Set(all.map(name => /^[^{]*\{([^}]+)\}/.exec(name)?.[1] ?? name))).toEqual(
    new Set(['number_stream']),
  )
  expect(new Set(all).size).toBe(all.length)
  expect(group).toBe('consumer_group')
})

test('two groups of one stream share nothing that belongs to consumers', () => {
  const [one, two] = [keysOf('s', 'one'), keysOf('s', 'two')]
  for (const key of ['sessions', 'beats', 'files', 'counts', 'retry', 'waiting', 'history'] as const)
    expect(one[key]).not.toBe(two[key])
  expect(one.output('c')).not.toBe(two.output('c'))
})

test('only names that are safe in a key and in a path are names', () => {
  for (const name of ['a', 'number_stream', 'c-1', 'A_9', 'x'.repeat(64)])
    expect(checkName('group', name)).toBe(name)
  for (const name of ['', 'a:b', '{a}', 'a b', '../a', '.', 'a\n', 'é', 'x'.repeat(65)])
    expect(() => keysOf(name, 'g')).toThrow(InvalidName)
  expect(() => keysOf('s', 'g:x')).toThrow(
    'group "g:x" is not a name: 1 to 64 of A-Z a-z 0-9 _ - are allowed',
  )
})
