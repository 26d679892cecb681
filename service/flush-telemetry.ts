import { setTimeout as sleep } from 'node:timers/promises'
import { metrics, ProxyTracerProvider, trace } from '@opentelemetry/api'

/** What the SDK's providers can do beyond the API. */
interface Provider {
  shutdown?(): Promise<void>
}

/**
 * Has the last spans and metrics sent, if the SDK is there. Takes `deadline` ms at most, and never fails:
 * who measures must not hold up what is measured.
 *
 * @returns whether all was sent
 */
export async function flushTelemetry(deadline: number): Promise<boolean> {
  const tracers = trace.getTracerProvider()
  const providers: Provider[] = [
    tracers instanceof ProxyTracerProvider ? (tracers.getDelegate() as Provider) : (tracers as Provider),
    metrics.getMeterProvider() as Provider,
  ]
  // What could not be sent before was said by telemetry itself.
  const sent = Promise.allSettled(providers.map(async provider => provider.shutdown?.()))
  const over = new AbortController()
  const late = sleep(deadline, false, { signal: over.signal }).catch(() => true)
  const all = sent.then(results => results.every(({ status }) => status === 'fulfilled'))
  return Promise.race([all, late]).finally(() => over.abort())
}
