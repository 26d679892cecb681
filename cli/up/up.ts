import { randomInt } from 'node:crypto'
import { MOST_SEED } from '@conveyor/producer/mix'
import { ConfigError, EXIT, withoutPassword } from '@conveyor/service'
import { deadPackages, type StreamState } from '@conveyor/stream'
import { CannotAnalyse, exitCode, formatReport, type Report, validate } from '@conveyor/validator'
import { type OwnPostgres, ownPostgres } from '../database/own-postgres.ts'
import { withRows } from '../database/rows.ts'
import { StreamWatch } from '../stream-watch.ts'
import { type FlowName, flowOf } from './flow.ts'
import { ownRedis } from './own-redis.ts'
import { type Ended, Pipeline } from './pipeline.ts'
import { count } from './summary.ts'
import { balance } from './verdict.ts'
import { createView, type View } from './view.ts'

export interface UpOptions {
  /** Stop after this package; 0 or undefined for no end. */
  readonly packages?: number
  /** Messages per second, or max. */
  readonly rate?: string
  readonly consumers?: number
  readonly outputDir?: string
  readonly redisUrl?: string
  readonly fresh?: boolean
  /** Types of packages and their weights; undefined for nothing but numbers. */
  readonly mix?: string
  /** Which package is of which type, as far as chance decides; by default chosen at random. */
  readonly seed?: number
  /** What the consumers do with a package: path of a module, or `demo`. */
  readonly handler?: string
  readonly flow?: FlowName
  /** The RabbitMQ that the flow of that name goes through. */
  readonly amqpUrl?: string
  /** Where packages are written; default: output files. */
  readonly sink?: 'file' | 'postgres'
  /** The PostgreSQL to use; default: one of its own. */
  readonly databaseUrl?: string
}

/**
 * Runs the whole pipeline: Redis, a producer, consumers, a summary. Ends after `packages`, or at Ctrl-C:
 * drains, writes what is left, validates and prints the verdict. A second Ctrl-C ends at once.
 *
 * @returns the exit code: the validator's, or 1 when the pipeline could not drain
 */
export async function up(options: UpOptions): Promise<number> {
  const flow = flowOf(options.flow)
  if (flow.by === 'rabbitmq' && options.amqpUrl === undefined)
    throw new ConfigError(
      '--flow rabbitmq needs a broker: AMQP_URL=amqp://user@host:5672/vhost, or --amqp-url',
    )
  const sink = options.sink ?? (options.databaseUrl ? 'postgres' : flow.sink)
  const view = createView(process.stdout)
  const own = options.redisUrl ? undefined : await ownRedis(text => view.say(text))
  const url = options.redisUrl ?? (own?.url as string)
  const outputDir = options.outputDir || 'consumer_output'
  // A flow that begins with rows needs a database wherever packages are written.
  const wanted = sink === 'postgres' || flow.rows
  const database = wanted
    ? await theDatabase(options.databaseUrl ?? process.env.DATABASE_URL, view)
    : undefined
  const watch = new StreamWatch(url, flow.keys)
  const first = flow.first && new StreamWatch(url, flow.first)
  const mix = options.mix ?? flow.mix
  const seed = options.seed ?? randomInt(MOST_SEED + 1) // one for all, also for a producer that is started again
  const pipeline = new Pipeline({
    watch,
    first,
    view,
    places: [
      `Redis ${own?.label ?? withoutPassword(url)}`,
      ...(database ? [`PostgreSQL ${database.label}`] : []),
      ...(flow.by === 'rabbitmq' ? [`RabbitMQ ${withoutPassword(options.amqpUrl ?? '')}`] : []),
    ],
    outputDir,
    restartRedis: own?.restart,
    flow,
    toDatabase: sink === 'postgres',
    database: database?.url,
    amqp: options.amqpUrl,
    consumers: options.consumers ?? 3,
    packages: options.packages,
    rate: options.rate,
    mix,
    seed: mix ? seed : undefined,
    handler: options.handler ?? flow.handler,
  })
  if (mix) view.say(`packages: ${mix}, seed ${seed}`)
  const interrupted = onInterrupt(() => pipeline.kill())
  try {
    if (options.fresh) await pipeline.startFresh()
    else await checkPlace(watch, sink !== 'postgres')
    await pipeline.start()
    const ended = await pipeline.run(interrupted)
    if (ended.unusable) throw new ConfigError(`not drained: ${ended.stuck}`)
    return await verdict(ended, watch, first, outputDir, sink === 'postgres' ? database?.url : undefined)
  } finally {
    pipeline.kill()
    watch.close()
    first?.close()
    await database?.stop()
    await own?.stop()
  }
}

/** A run is written to one place: what it has elsewhere would seem to be missing. Throws `ConfigError`. */
async function checkPlace(watch: StreamWatch, toFiles: boolean): Promise<void> {
  const state = await watch.look()
  if (!state?.done) return
  const inFiles = state.consumers.some(({ output }) => output > 0)
  if (inFiles === toFiles) return
  throw new ConfigError(
    `run ${state.epoch} has been written to ${inFiles ? 'files' : 'a database'}: --sink ${inFiles ? 'file' : 'postgres'} goes on with it, --fresh begins a new one`,
  )
}

/** The database that was asked for, or one of its own. */
async function theDatabase(url: string | undefined, view: View): Promise<OwnPostgres> {
  if (url === undefined) return ownPostgres(text => view.say(text))
  return { url, label: withoutPassword(url), stop: async () => {} }
}

/** Prints what came out. */
async function verdict(
  { state, first, stuck }: Ended,
  watch: StreamWatch,
  upstream: StreamWatch | undefined,
  outputDir: string,
  database: string | undefined,
): Promise<number> {
  const dead = await deadPackages(await watch.redis(), watch.keys, state?.epoch)
  let report: Report
  try {
    const schema = process.env.DATABASE_SCHEMA || 'conveyor'
    const expected = { expect: state?.sequence ?? 0, dead }
    report =
      database === undefined
        ? await validate({ outputDir, ...expected })
        : await withRows({ url: database, schema, ...watch.keys, epoch: state?.epoch }, (dir, label) =>
            validate({ outputDir: dir, label, ...expected }),
          )
  } catch (error) {
    if (stuck === undefined || !(error instanceof CannotAnalyse)) throw error
    throw new Error(`not drained: ${stuck}`, { cause: error }) // which is why there is nothing to analyse
  }
  const color = process.stdout.hasColors?.() ?? false
  process.stdout.write(`\n${formatReport(report, { verbose: false, color })}`)
  const whole = first === undefined || tellStage(first, upstream?.keys.stream ?? '')
  if (state)
    process.stdout.write(
      `${balance(state, report, database === undefined ? 'in files' : 'in the table').join('\n')}\n`,
    )
  if (stuck === undefined) return whole ? exitCode(report) : EXIT.failed
  process.stdout.write(`Not drained: ${stuck}\n`)
  return EXIT.failed
}

/** Prints what became of what a stage was given. Returns whether all of it is accounted for. */
function tellStage(state: StreamState, stream: string): boolean {
  const { sequence, done, dead, replayed } = state
  const lost = sequence - done - (dead - replayed)
  const lines = `${stream}: given out ${count(sequence)}   processed ${count(done)}   in the dead letters ${count(dead - replayed)}`
  process.stdout.write(`${lines}${lost > 0 ? `   in neither ${count(lost)}` : ''}\n`)
  return lost === 0
}

/** Aborted at the first SIGINT or SIGTERM; the second ends the process, after `kill`. */
function onInterrupt(kill: () => void): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) {
      kill()
      process.exit(EXIT.failed)
    }
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return controller.signal
}
