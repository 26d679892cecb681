import type { Action, LetterFilter, Target } from './contract.ts'

/** The command line that does the same as an action. Runs here and in the page. */
export function commandOf(action: Action, target: Target = {}): string {
  return ['conveyor', ...wordsOf(action), ...targetOf(target)].join(' ')
}

function wordsOf(action: Action): string[] {
  switch (action.do) {
    case 'pause':
    case 'resume':
    case 'drain':
      return ['consumers', action.do, quoted(action.consumer)]
    case 'retry':
      return ['retry', String(action.package)]
    case 'edit':
      return ['dlq', 'edit', quoted(action.letter), '--payload', quoted(JSON.stringify(action.payload))]
    case 'export':
      return ['dlq', 'export', ...filterOf(action.filter)]
    case 'replay':
    case 'purge': {
      const { bulk } = action
      const which = 'ids' in bulk ? bulk.ids.map(quoted) : ['--all', ...filterOf(bulk.filter)]
      const rate = bulk.rate === undefined ? [] : ['--rate', String(bulk.rate)]
      // The command line has no other way to say that quarantine is not minded.
      const anyway = bulk.quarantined && action.do === 'replay' ? ['--max-replays', '1000000'] : []
      return ['dlq', action.do, ...which, ...rate, ...anyway]
    }
  }
}

function filterOf({ reason = [], error, minAge, maxAge, packages, minReplays }: LetterFilter): string[] {
  return [
    ...reason.flatMap(one => ['--reason', quoted(one)]),
    ...(error ? ['--error', quoted(error)] : []),
    ...(minAge === undefined ? [] : ['--min-age', `${Math.round(minAge / 1000)}s`]),
    ...(maxAge === undefined ? [] : ['--max-age', `${Math.round(maxAge / 1000)}s`]),
    ...(packages ? ['--packages', quoted(packages)] : []),
    ...(minReplays === undefined ? [] : ['--min-replays', String(minReplays)]),
  ]
}

function targetOf({ stream, group, redisUrl }: Target): string[] {
  return [
    ...(redisUrl === undefined ? [] : ['--redis-url', quoted(redisUrl)]),
    ...(stream === undefined ? [] : ['--stream', quoted(stream)]),
    ...(group === undefined ? [] : ['--group', quoted(group)]),
  ]
}

/** One word for a POSIX shell, whatever is in it. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
