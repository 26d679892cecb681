import { MOST_SEED } from '@conveyor/producer/mix'
import { ConfigError, EXIT } from '@conveyor/service'
import { ConnectionLost, deadPackages, inspect } from '@conveyor/stream'
import { Command, Option } from 'commander'
import { completionCommand } from './completion-command.ts'
import { consumersCommand } from './consumers/command.ts'
import { applyConventions, examples, surviveClosedOutput } from './conventions.ts'
import { dlqCommand } from './dlq/command.ts'
import { doctorCommand } from './doctor/command.ts'
import { messageCommand } from './message/command.ts'
import { monitorCommand } from './monitor/command.ts'
import {
  amqpUrl,
  databaseUrl,
  handlerOption,
  mixOption,
  outputDir,
  rateOption,
  redisUrl,
  wholeNumber,
  withRedis,
} from './options.ts'
import { retryCommand } from './retry/command.ts'

for (const [name, value] of Object.entries(process.env)) if (value === '') delete process.env[name] // an empty variable counts as not set

const program = new Command('conveyor')
  .description('Numbered packages through a Redis stream to N consumers, each exactly once')
  .addHelpText('after', '\nconveyor <command> --help says more about a command, with examples.')

program
  .command('up')
  .description('run Redis, a producer and consumers until Ctrl-C, then validate what came out')
  .addOption(
    new Option('--packages <n>', 'stop after package n, drain, validate')
      .env('PACKAGES')
      .argParser(wholeNumber(0)),
  )
  .addOption(
    new Option('--rate <r>', 'messages per second, max, or 0 for none but yours (default: 10)')
      .env('RATE')
      .argParser(rateOption),
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
  .addOption(
    new Option(
      '--mix <types>',
      'packages of several types, e.g. success=90,retry=8,fail=2 (default: nothing but numbers)',
    )
      .env('MIX')
      .argParser(mixOption),
  )
  .addOption(
    new Option('--seed <n>', 'which package is of which type (default: at random)')
      .env('SEED')
      .argParser(wholeNumber(0, MOST_SEED)),
  )
  .addOption(
    new Option('--handler <module>', 'what is done with a package: path of a module, or demo')
      .env('HANDLER')
      .argParser(handlerOption),
  )
  .addOption(
    new Option('--flow <name>', 'what runs (default: one stage)').choices(['stages', 'rabbitmq', 'orders']),
  )
  .addOption(
    new Option('--amqp-url <url>', 'the RabbitMQ of the flow of that name')
      .env('AMQP_URL')
      .argParser(amqpUrl),
  )
  .addOption(
    new Option('--sink <name>', 'where packages are written (default: file)')
      .choices(['file', 'postgres'])
      .env('OUTPUT'),
  )
  .addOption(databaseUrl('the PostgreSQL to write to (default: one of its own, PGlite)'))
  .option('--fresh', 'start a new run; the files of earlier ones stay under runs/')
  .addHelpText(
    'after',
    examples(
      ['up', 'until Ctrl-C: 10 packages a second, 3 consumers'],
      ['up --packages 100000 --rate max', 'a run with an end'],
      ['up --flow stages', 'queries in, answered by one stage, written by the next'],
      ['up --flow rabbitmq', 'the same way through a queue of the RabbitMQ at AMQP_URL, into PostgreSQL'],
      ['up --flow orders', 'orders of two tables; those that pass their check into PostgreSQL'],
      ['up --sink postgres', 'rows instead of files'],
      ['up --redis-url redis://10.0.0.5:6379 --fresh', 'a new run on a Redis of yours'],
    ),
  )
  .action(async options => {
    const { up } = await import('./up/up.ts') // each command loads only what it needs
    process.exit(await up(options))
  })

program
  .command('validate')
  .description('check the output files for duplicates, gaps and unreadable lines')
  .addOption(outputDir())
  .option('--expect <n>', 'demand exactly the packages 1 to n', wholeNumber(0))
  .option('--verbose', 'list everything that was found', false)
  .option('--json', 'print the report as JSON', false)
  .addOption(
    new Option('--redis-url <url>', 'do not miss what is in the dead letters there').argParser(redisUrl),
  )
  .addOption(databaseUrl('check the rows there instead of files'))
  .addHelpText(
    'after',
    examples(
      ['validate', 'every package from 1 to the highest, exactly once?'],
      ['validate --expect 100000 --verbose', 'exactly these, and all that is wrong'],
      ['validate --output-dir out --json', 'for a program'],
    ),
  )
  .action(async ({ outputDir = 'consumer_output', redisUrl, databaseUrl: url, ...options }) => {
    const { runValidate } = await import('@conveyor/validator')
    const dead = redisUrl && (await deadLettersAt(redisUrl))
    if (url === undefined) {
      process.exitCode = await runValidate({ outputDir, dead, ...options }, process)
      return
    }
    const { withRows } = await import('./database/rows.ts')
    const table = {
      url,
      schema: process.env.DATABASE_SCHEMA || 'conveyor',
      stream: theStream(),
      group: theGroup(),
    }
    process.exitCode = await withRows(table, (directory, label) =>
      runValidate({ outputDir: directory, label, dead, ...options }, process),
    )
  })

program.addCommand(monitorCommand())
program.addCommand(messageCommand())
program.addCommand(consumersCommand())
program.addCommand(retryCommand())
program.addCommand(dlqCommand())
program.addCommand(doctorCommand())
program.addCommand(completionCommand())
applyConventions(program)
surviveClosedOutput()

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`conveyor: ${(error as Error).message}\n`)
  process.exit(exitCodeOf(error))
}

function theStream(): string {
  return process.env.STREAM || 'number_stream'
}

function theGroup(): string {
  return process.env.GROUP || 'consumer_group'
}

async function deadLettersAt(redisUrl: string): Promise<ReadonlyMap<number, string>> {
  const target = { redisUrl, stream: theStream(), group: theGroup() }
  return withRedis(target, async (redis, keys) =>
    deadPackages(redis, keys, (await inspect(redis, keys)).epoch),
  )
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return EXIT.usage
  return error instanceof ConnectionLost ? EXIT.unreachable : EXIT.failed
}
