import { ConfigError } from '@conveyor/service'
import { type Keys, type LetterFilter, MAX_REPLAYS } from '@conveyor/stream'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Redis } from 'ioredis'
import { rateOption, type Target, wholeNumber, withRedis, withTarget } from '../options.ts'
import type { ActOptions } from './act.ts'
import { duration, letterId, packageRange } from './filter.ts'

/** The command `dlq`: looks at dead letters, replays, edits, purges and exports them. */
export function dlqCommand(): Command {
  const dlq = new Command('dlq')
    .description('look at dead letters: messages that could not be handled; replay or purge them')
    .addHelpText(
      'after',
      examples(
        ['dlq list', 'what there is'],
        ['dlq show 1795293061000-0', 'one letter: payload, error, attempts, trace'],
        ['dlq replay --all --dry-run', 'what a replay would do'],
      ),
    )
  list(dlq)
  show(dlq)
  replay(dlq)
  edit(dlq)
  purge(dlq)
  exportAll(dlq)
  watch(dlq)
  return dlq
}

function list(dlq: Command): void {
  withTarget(withFilter(dlq.command('list')))
    .description('list the dead letters of the group, oldest first')
    .option('--limit <n>', 'how many to show', wholeNumber(1), 50)
    .addOption(maxReplays('mark those that were replayed so often as quarantined'))
    .option('--json', 'print them as one JSON document')
    .addHelpText(
      'after',
      examples(
        ['dlq list --reason "handler failed" --max-age 1h', 'what failed within the last hour'],
        ['dlq list --error timeout --packages 100-200', 'by what was thrown, and by number'],
        ['dlq list --json | jq -r ".letters[].id"', 'their ids'],
      ),
    )
    .action(async options => {
      const { listLetters } = await import('./list.ts')
      await withRedis(options, (redis, keys) => listLetters(redis, keys, options))
    })
}

function show(dlq: Command): void {
  withTarget(dlq.command('show'))
    .description('show one dead letter: payload, error and stack, attempts, trace')
    .argument('<id>', 'id of the letter', letterId)
    .addOption(
      new Option('--jaeger-url <url>', 'where traces are shown')
        .env('JAEGER_URL')
        .default(JAEGER)
        .argParser(httpUrl),
    )
    .addOption(maxReplays('call it quarantined when it was replayed so often'))
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      examples(['dlq show 1795293061000-0'], ['dlq show 1795293061000-0 --json | jq .fields']),
    )
    .action(async (id, options) => {
      const { showLetter } = await import('./show.ts')
      await exitWith(options, (redis, keys) => showLetter(redis, keys, id, options))
    })
}

function replay(dlq: Command): void {
  withTarget(withConsent(withFilter(withChoice(dlq.command('replay')))))
    .description('have the messages of dead letters return to the stream, for their group, at attempt 1')
    .option('--max <n>', 'replay the oldest n at most', wholeNumber(1))
    .addOption(rate())
    .addOption(maxReplays('leave those alone that were replayed so often already'))
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        ['dlq replay 1795293061000-0', 'one letter'],
        ['dlq replay --all --dry-run', 'how many, and why they died'],
        ['dlq replay --all --reason "handler timeout" --rate 100 --yes', 'without asking, 100 a second'],
      ),
    )
    .action(async (ids, options) => {
      await demandChoice(ids, options)
      const { replayLetters } = await import('./replay.ts')
      await exitWith(options, (redis, keys) => replayLetters(redis, keys, ids, options))
    })
}

function edit(dlq: Command): void {
  withTarget(dlq.command('edit'))
    .description('replay a dead letter with another payload; its package number stays')
    .argument('<id>', 'id of the letter', letterId)
    .option('--payload <json>', 'the new payload, a JSON object')
    .option('--file <path>', 'read the new payload from a file, or from standard input with -')
    .addHelpText(
      'after',
      examples(
        ['dlq edit 1795293061000-0', 'in $EDITOR'],
        [`dlq edit 1795293061000-0 --payload '{"type":"success"}'`],
        ['jq .type=\\"success\\" old.json | conveyor dlq edit 1795293061000-0 --file -'],
      ),
    )
    .action(async (id, options) => {
      const { editLetter, payloadSource } = await import('./edit.ts')
      const source = payloadSource(options)
      await exitWith(options, (redis, keys) => editLetter(redis, keys, id, source))
    })
}

function purge(dlq: Command): void {
  withTarget(withConsent(withFilter(withChoice(dlq.command('purge')))))
    .description('delete dead letters for good: their packages are given up')
    .option('--max <n>', 'purge the oldest n at most', wholeNumber(1))
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        ['dlq purge 1795293061000-0', 'one letter'],
        ['dlq purge --all --min-age 30d --dry-run', 'what is older than 30 days'],
        ['dlq export --min-replays 3 > gone.ndjson', 'keep a copy of what is in quarantine,'],
        ['dlq purge --all --min-replays 3', 'and give it up'],
      ),
    )
    .action(async (ids, options) => {
      await demandChoice(ids, options)
      const { purgeLetters } = await import('./replay.ts')
      await exitWith(options, (redis, keys) => purgeLetters(redis, keys, ids, options))
    })
}

function exportAll(dlq: Command): void {
  withTarget(withFilter(dlq.command('export')))
    .description('print the dead letters of the group, one line of JSON each, oldest first')
    .addOption(maxReplays('mark those that were replayed so often as quarantined'))
    .addHelpText(
      'after',
      examples(
        ['dlq export > dead-letters.ndjson'],
        ['dlq export --reason rejected | jq -c "{package, detail}"', 'some of it'],
      ),
    )
    .action(async options => {
      const { exportLetters } = await import('./list.ts')
      await withRedis(options, (redis, keys) => exportLetters(redis, keys, options))
    })
}

function watch(dlq: Command): void {
  withTarget(withFilter(dlq.command('watch')))
    .description('replay dead letters as they come, until Ctrl-C')
    .option('--interval <s>', 'seconds between two looks', seconds, 30)
    .addOption(rate())
    .addOption(maxReplays('leave those alone that were replayed so often already'))
    .addHelpText(
      'after',
      examples(
        ['dlq watch --interval 60 --min-age 10m', 'each ten minutes after its death'],
        ['dlq watch --reason "handler timeout" --rate 10 --max-replays 5'],
      ),
    )
    .action(async options => {
      const { watchLetters } = await import('./watch.ts')
      const { withTelemetry } = await import('../with-telemetry.ts')
      await withTelemetry(() => watchLetters(options, options))
      process.exit()
    })
}

/** Runs `work`, which returns the exit code of the command, and has its spans sent. */
async function exitWith(target: Target, work: (redis: Redis, keys: Keys) => Promise<number>): Promise<never> {
  const { withTelemetry } = await import('../with-telemetry.ts')
  process.exit(await withTelemetry(() => withRedis(target, work)))
}

function withFilter(command: Command): Command {
  const several = (value: string, before: string[] = []) => [...before, value]
  return command
    .option('--reason <text>', 'of this reason; may be given several times', several)
    .option('--error <text>', 'with this text in the error, in upper or lower case')
    .option('--min-age <duration>', 'dead for at least 90s, 10m, 2h, 1d, …', duration)
    .option('--max-age <duration>', 'dead for at most so long', duration)
    .option('--packages <range>', 'with a package number such as 100-200', packageRange)
    .option('--min-replays <n>', 'replayed so often at least', wholeNumber(0))
}

function withChoice(command: Command): Command {
  return command
    .argument('[ids...]', 'ids of letters', (text: string, before: string[] = []) => [
      ...before,
      letterId(text),
    ])
    .option('--all', 'all that there are when it starts, or all that the filters let through')
}

function withConsent(command: Command): Command {
  return command
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only show how many there are and why they died')
}

/** Throws `ConfigError` unless it is clear which letters are meant, and somebody agrees. */
async function demandChoice(ids: readonly string[] = [], options: ActOptions): Promise<void> {
  const { reason, error, minAge, maxAge, packages, minReplays }: LetterFilter = options
  const filters = [reason, error, minAge, maxAge, packages, minReplays].some(value => value !== undefined)
  if (ids.length > 0 && (options.all || filters))
    throw new ConfigError('ids, or --all with filters: one is allowed')
  if (ids.length === 0 && !options.all) throw new ConfigError('which letters? Give ids, or --all and filters')
  const { demandConsent } = await import('./act.ts')
  demandConsent(options)
}

function maxReplays(description: string): Option {
  return new Option('--max-replays <n>', description).default(MAX_REPLAYS).argParser(wholeNumber(1))
}

function rate(): Option {
  return new Option('--rate <r>', 'messages per second, or max (default: max)').argParser(text => {
    const value = rateOption(text)
    if (Number(value) === 0) throw new InvalidArgumentError('A number above 0, or max, is allowed.')
    return value === 'max' ? undefined : Number(value)
  })
}

function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || value < 0.1 || value > 86_400)
    throw new InvalidArgumentError('Seconds from 0.1 to 86400 are allowed.')
  return value
}

const JAEGER = 'http://localhost:16686'

/** An empty variable counts as not set. */
function httpUrl(text: string): string {
  if (text === '') return JAEGER
  if (!/^https?:\/\/\S+$/.test(text)) throw new InvalidArgumentError(`A URL such as ${JAEGER} is allowed.`)
  return text
}

function examples(...all: [command: string, what?: string][]): string {
  const shown = all.map(([command, what]) => {
    const line = command.startsWith('dlq ') ? `conveyor ${command}` : command
    return what ? `  ${line}\n      ${what}` : `  ${line}`
  })
  return `\nExamples:\n${shown.join('\n')}`
}
