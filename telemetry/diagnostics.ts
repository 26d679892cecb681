import type { Logger } from '@conveyor/service'
import type { DiagLogger } from '@opentelemetry/api'

/** Ms in which the same complaint is logged once. */
const AGAIN = 60_000

/** Texts that are remembered, at most. */
const MOST = 100

/**
 * Logs what the SDK complains of, a line each. A Collector that is away is no news with every export: the
 * same complaint comes once a minute.
 */
export function diagnostics(log: Pick<Logger, 'warn'>, now = () => performance.now()): DiagLogger {
  const said = new Map<string, number>()
  const complain = (text: unknown) => {
    const reason = reasonOf(text)
    const before = said.get(reason)
    if (before !== undefined && now() - before < AGAIN) return
    if (said.size >= MOST) said.clear()
    said.set(reason, now())
    log.warn({ reason }, 'telemetry')
  }
  const ignore = () => {}
  return { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore }
}

/** The SDK gives errors as JSON with their stack. */
function reasonOf(text: unknown): string {
  try {
    const { message, name, code } = JSON.parse(String(text))
    const reason = message || [name, code].filter(Boolean).join(' ')
    if (reason) return String(reason)
  } catch {
    // Not JSON.
  }
  return String(text)
}
