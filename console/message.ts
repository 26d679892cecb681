import { join } from 'node:path'
import { answer, inspect, type Keys, packageReport, type Transition, transitionText } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { HistoryEvent, Message } from './contract.ts'
import { payloadOf } from './payload.ts'

export interface MessageOptions {
  readonly outputDir: string
  readonly jaegerUrl: string
}

/** Everything about a package. It looks through everything, so it is for people. */
export async function messageOf(
  redis: Redis,
  keys: Keys,
  number: number,
  options: MessageOptions,
): Promise<Message> {
  const report = await packageReport(redis, keys, number, options)
  const { sequence } = await inspect(redis, keys)
  const lost = report.state === 'not found'
  const purged = lost && (await answer(redis.sismember(keys.purged, String(number)))) === 1
  const { line } = report
  return {
    package: number,
    run: report.run,
    state: purged ? 'purged' : report.state,
    line: line ? { ...line, file: join(line.file) } : null,
    place: report.place ?? null,
    history: report.history.map(historyEvent),
    payload: (await payloadOf(redis, keys, report)) ?? null,
    trace: report.trace ?? null,
    sequence,
  }
}

function historyEvent(transition: Transition): HistoryEvent {
  return {
    event: transition.event,
    at: transition.at,
    text: transitionText(transition),
    consumer: 'consumer' in transition ? transition.consumer : null,
    attempt: 'attempt' in transition ? (transition.attempt ?? null) : null,
  }
}
