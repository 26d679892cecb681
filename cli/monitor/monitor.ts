import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '@conveyor/service'
import { keysOf, Liveness, Rates } from '@conveyor/stream'
import type { Target } from '../options.ts'
import { StreamWatch } from '../stream-watch.ts'
import { counters, type Report, reportOf, where } from './report.ts'
import { createMonitorView, printReport } from './view.ts'

export interface MonitorOptions extends Target {
  readonly once: boolean
  readonly json: boolean
  /** Seconds between two reports. */
  readonly interval: number
  /** Ms between two heartbeats of the consumers. */
  readonly beatInterval: number
  readonly deathBeats: number
}

/** Ms that Redis may take to answer: after that, people want to know. */
const PATIENCE = 2000

/**
 * Shows the stream, once or until SIGINT or SIGTERM.
 *
 * @returns the exit code: 0 after an interrupt; with `once`, 3 when Redis cannot be reached, and 1 when there is no
 * stream or no group
 */
export async function monitor(options: MonitorOptions, out: NodeJS.WriteStream): Promise<number> {
  const observer = new Observer(options)
  if (options.once) {
    const report = await observer.judged()
    await printReport(report, options.json, out)
    return exitCodeOf(report)
  }
  const view = createMonitorView(options.json, out)
  const stop = new AbortController()
  // `once` would not do: log-update ends the process by the signal when nobody else listens to it any more.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  const watching = async () => {
    for (let due = performance.now(); ; ) {
      const report = await observer.look()
      if (performance.now() >= due) {
        view.show(report)
        due = Math.max(due + options.interval * 1000, performance.now())
      }
      await sleep(options.beatInterval)
    }
  }
  await Promise.race([watching(), once(stop.signal, 'abort')])
  view.end()
  return EXIT.ok
}

function exitCodeOf({ status }: Report): number {
  if (status === 'unreachable') return EXIT.unreachable
  return status === 'ok' ? EXIT.ok : EXIT.failed
}

/** Looks at a stream as often as its consumers beat, and keeps what only several looks can say. */
class Observer {
  private readonly watch
  private readonly liveness
  private readonly rates = new Rates(5000)

  constructor(private readonly options: MonitorOptions) {
    const { redisUrl, stream, group, deathBeats } = options
    this.watch = new StreamWatch(redisUrl, keysOf(stream, group), 'conveyor-monitor', PATIENCE)
    this.liveness = new Liveness(deathBeats)
  }

  async look(): Promise<Report> {
    const { watch, liveness, rates } = this
    const state = await watch.look()
    if (!state) return { ...where(watch.url, watch.keys), status: 'unreachable' }
    liveness.see(state.consumers)
    rates.add(counters(state))
    return reportOf(watch.url, watch.keys, state, liveness, rates)
  }

  /** The report after as many looks as it takes to tell the dead. */
  async judged(): Promise<Report> {
    let report = await this.look()
    for (let looks = 0; looks < this.options.deathBeats && 'consumers' in report; looks++) {
      await sleep(this.options.beatInterval)
      report = await this.look()
    }
    return report
  }
}
