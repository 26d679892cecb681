import { ConfigError } from './config.ts'
import { flushTelemetry } from './flush-telemetry.ts'
import type { Logger } from './log.ts'

/** Exit codes of services and commands. */
export const EXIT = {
  ok: 0,
  /** Something went wrong that a person has to look at. */
  failed: 1,
  /** A setting or an option cannot be used. */
  usage: 2,
  /** Redis cannot be reached. */
  unreachable: 3,
} as const

/** Ms that sending the last spans and metrics may take. */
const FLUSH = 2000

export interface Service {
  readonly log: Logger
  /** Ms that finishing may take after the first signal. */
  readonly drainTimeout: number
  /** Runs until `stop` is aborted and what was in hand is finished. */
  run(stop: AbortSignal): Promise<void>
}

/**
 * Runs a service as this process: starts it, stops it at SIGINT or SIGTERM, and ends the process. A second
 * signal ends it at once, and so does the drain timeout; what was in hand is then redone by others. Before it
 * ends, telemetry has two seconds to be sent.
 * A setting that cannot be used is one line on standard error and exit code 2.
 */
export async function runService(create: () => Service | Promise<Service>): Promise<never> {
  const stop = new AbortController()
  let service: Service | undefined
  const onSignal = (signal: string) => {
    if (!service) process.exit(EXIT.ok) // nothing is in hand yet
    const { log, drainTimeout } = service
    if (stop.signal.aborted) {
      log.warn('second signal: ending at once')
      process.exit(EXIT.failed)
    }
    log.info({ signal }, 'stopping: finishing what is in hand')
    stop.abort()
    setTimeout(() => {
      log.error({ drainTimeout }, 'could not finish in time: ending; others take over what is left')
      void exit(EXIT.failed)
    }, drainTimeout).unref()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.once('disconnect', () => onSignal('parent gone')) // only when started with a channel to a parent
  try {
    service = await create()
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : (error as Error).stack}\n`)
    process.exit(error instanceof ConfigError ? EXIT.usage : EXIT.failed)
  }
  const { log } = service
  process.on('uncaughtException', error => {
    log.fatal({ error }, 'unexpected error')
    void exit(EXIT.failed)
  })
  try {
    await service.run(stop.signal)
    log.info('stopped')
    return await exit(EXIT.ok)
  } catch (error) {
    if (error instanceof ConfigError) {
      log.fatal(error.message)
      return await exit(EXIT.usage)
    }
    log.fatal({ error }, (error as Error).message)
    return await exit(EXIT.failed)
  }
}

/** Ends the process after telemetry was sent. */
async function exit(code: number): Promise<never> {
  await flushTelemetry(FLUSH)
  process.exit(code)
}
