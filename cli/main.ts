import { ConfigError, EXIT, rate } from '@conveyor/service'
import { Command, InvalidArgumentError, Option } from 'commander'

/** A whole number from `min`; commander names the option and the value. */
function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`A whole number from ${min} to ${max} is allowed.`)
    }
    return value
  }
}

function rateOption(text: string): string {
  const parsed = rate.safeParse(text)
  if (!parsed.success) throw new InvalidArgumentError(`${parsed.error.issues[0]?.message}.`)
  return text
}

function redisUrl(text: string): string {
  if (!/^rediss?:\/\/\S+$/.test(text))
    throw new InvalidArgumentError('A URL such as redis://127.0.0.1:6379 is allowed.')
  return text
}

const outputDir = () =>
  new Option('--output-dir <dir>', 'directory of the output files (default: consumer_output)').env(
    'OUTPUT_DIR',
  )

const program = new Command('conveyor')
  .description('Numbered packages through a Redis stream to N consumers, each exactly once')
  .showSuggestionAfterError()
  .exitOverride(error => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage))

program
  .command('up')
  .description('run Redis, a producer and consumers until Ctrl-C, then validate what came out')
  .addOption(
    new Option('--packages <n>', 'stop after package n, drain, validate')
      .env('PACKAGES')
      .argParser(wholeNumber(0)),
  )
  .addOption(
    new Option('--rate <r>', 'messages per second, or max (default: 10)').env('RATE').argParser(rateOption),
  )
  .addOption(
    new Option('--consumers <n>', 'number of consumers (default: 3)')
      .env('CONSUMERS')
      .argParser(wholeNumber(1, 100)),
  )
  .addOption(outputDir())
  .addOption(
    new Option('--redis-url <url>', 'use this Redis (default: one of its own)')
      .env('REDIS_URL')
      .argParser(redisUrl),
  )
  .option('--fresh', 'start a new run; the files of earlier ones stay under runs/')
  .action(async options => {
    const { up } = await import('./up.ts') // each command loads only what it needs
    process.exit(await up(options))
  })

program
  .command('validate')
  .description('check the output files for duplicates, gaps and unreadable lines')
  .addOption(outputDir())
  .option('--expect <n>', 'demand exactly the packages 1 to n', wholeNumber(0))
  .option('--verbose', 'list everything that was found', false)
  .option('--json', 'print the report as JSON', false)
  .action(async ({ outputDir = 'consumer_output', ...options }) => {
    const { runValidate } = await import('@conveyor/validator')
    process.exitCode = await runValidate({ outputDir, ...options }, process)
  })

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`conveyor: ${(error as Error).message}\n`)
  process.exit(error instanceof ConfigError ? EXIT.usage : EXIT.failed)
}
