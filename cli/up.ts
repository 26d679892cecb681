import { EXIT } from '@conveyor/service'
import { keysOf } from '@conveyor/stream'
import { exitCode, formatReport, validate } from '@conveyor/validator'
import { ownRedis } from './own-redis.ts'
import { type Ended, Pipeline } from './pipeline.ts'
import { StreamWatch } from './stream-watch.ts'
import { createView } from './view.ts'

export interface UpOptions {
  /** Stop after this package; 0 or undefined for no end. */
  readonly packages?: number
  /** Messages per second, or max. */
  readonly rate?: string
  readonly consumers?: number
  readonly outputDir?: string
  readonly redisUrl?: string
  readonly fresh?: boolean
}

/**
 * Runs the whole pipeline: Redis, a producer, consumers, a summary. Ends after `packages`, or at Ctrl-C:
 * drains, writes what is left, validates and prints the verdict. A second Ctrl-C ends at once.
 *
 * @returns the exit code: the validator's, or 1 when the pipeline could not drain
 */
export async function up(options: UpOptions): Promise<number> {
  const view = createView(process.stdout)
  const own = options.redisUrl ? undefined : await ownRedis(text => view.say(text))
  const url = options.redisUrl ?? (own?.url as string)
  const outputDir = options.outputDir || 'consumer_output'
  const watch = new StreamWatch(
    url,
    keysOf(process.env.STREAM || 'number_stream', process.env.GROUP || 'consumer_group'),
  )
  const pipeline = new Pipeline({
    watch,
    view,
    redis: own?.label ?? url.replace(/\/\/[^@/]*@/, '//***@'),
    outputDir,
    consumers: options.consumers ?? 3,
    packages: options.packages,
    rate: options.rate,
  })
  const interrupted = onInterrupt(() => pipeline.kill())
  try {
    if (options.fresh) await pipeline.startFresh()
    await pipeline.start()
    return await verdict(await pipeline.run(interrupted), outputDir)
  } finally {
    pipeline.kill()
    watch.close()
    await own?.stop()
  }
}

/** Prints what came out. */
async function verdict({ state, stuck }: Ended, outputDir: string): Promise<number> {
  const report = await validate({ outputDir, expect: state?.sequence ?? 0 })
  process.stdout.write(
    `\n${formatReport(report, { verbose: false, color: process.stdout.hasColors?.() ?? false })}`,
  )
  if (state && state.dead > 0) process.stdout.write(`${state.dead} entries are in the dead letters\n`)
  if (stuck === undefined) return exitCode(report)
  process.stdout.write(`Not drained: ${stuck}\n`)
  return EXIT.failed
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
