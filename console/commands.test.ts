import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { commandOf } from './commands.ts'
import type { Action } from './contract.ts'

test.for([
  [{ do: 'pause', consumer: 'c1' }, 'conveyor consumers pause c1'],
  [{ do: 'retry', package: 4711 }, 'conveyor retry 4711'],
  [{ do: 'replay', bulk: { ids: ['1-0', '2-0'], rate: 5 } }, 'conveyor dlq replay 1-0 2-0 --rate 5'],
  [
    {
      do: 'replay',
      bulk: {
        filter: { reason: ['handler failed', 'rejected'], error: "it's", minAge: 90_500, packages: '1-9' },
        count: 3,
        through: '9-0',
        quarantined: true,
      },
    },
    `conveyor dlq replay --all --reason 'handler failed' --reason rejected --error 'it'\\''s' --min-age 91s --packages 1-9 --max-replays 1000000`,
  ],
  [
    { do: 'purge', bulk: { filter: { minReplays: 3 }, count: 1, through: '9-0', quarantined: true } },
    'conveyor dlq purge --all --min-replays 3',
  ],
  [{ do: 'export', filter: { maxAge: 1000 } }, 'conveyor dlq export --max-age 1s'],
  [{ do: 'edit', letter: '1-0', payload: { a: 1 } }, `conveyor dlq edit 1-0 --payload '{"a":1}'`],
] satisfies [Action, string][])('%o', ([action, command]) => expect(commandOf(action)).toBe(command))

test('another stream and group are said', () => {
  expect(commandOf({ do: 'retry', package: 1 }, { stream: 's', group: 'g' })).toBe(
    'conveyor retry 1 --stream s --group g',
  )
})

test('a shell reads one word, whatever is in it', () => {
  const text = `$(touch x); \`id\` "q" 'q' \\ \n* > & é`
  const command = commandOf({ do: 'export', filter: { error: text } }).replace('conveyor', 'printf %s')
  expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toBe(`dlqexport--error${text}`)
})
