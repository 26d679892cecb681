import type { DeadLetter } from './dead-letters.ts'
import { isQuarantined } from './letter-plan.ts'

/** A letter as JSON shows it: always the same keys, null for what it does not have. */
export function letterDocument(letter: DeadLetter, maxReplays: number) {
  return {
    id: letter.id,
    at: letter.at,
    reason: letter.reason,
    detail: letter.detail,
    stack: letter.stack ?? null,
    group: letter.group,
    consumer: letter.consumer ?? null,
    package: letter.package ?? null,
    message: letter.message,
    entry: letter.entry,
    attempts: letter.attempts,
    deliveries: letter.deliveries,
    replays: letter.replays,
    quarantined: isQuarantined(letter, maxReplays),
    failures: letter.failures,
    epoch: letter.epoch,
    traceId: letter.traceId ?? null,
    fields: letter.fields,
  }
}
