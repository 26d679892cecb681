import { createContextKey, ROOT_CONTEXT, SpanKind, TraceFlags, trace } from '@opentelemetry/api'
import { SamplingDecision } from '@opentelemetry/sdk-trace'
import { expect, test } from 'vitest'
import { KeepingSampler, RateLimitedSampler } from './sampler.ts'

const { NOT_RECORD, RECORD_AND_SAMPLED } = SamplingDecision
const KEEP = createContextKey('conveyor.keep')
const traceId = '0af7651916cd43dd8448eb211c80319c'

test('takes all below the rate, and the rate above it', () => {
  let now = 0
  const sampler = new RateLimitedSampler(100, () => now)
  const taken = (perSecond: number, seconds: number) => {
    let count = 0
    for (let n = 0; n < perSecond * seconds; n++) {
      now += 1000 / perSecond
      if (sampler.shouldSample().decision === RECORD_AND_SAMPLED) count++
    }
    return count
  }
  expect(taken(90, 10)).toBe(900)
  taken(1000, 1) // uses up what one quiet second has saved
  expect(taken(1000, 10)).toBeGreaterThanOrEqual(999)
  expect(taken(1000, 10)).toBeLessThanOrEqual(1001)
  now += 3600_000
  expect(taken(10_000, 0.1)).toBeLessThanOrEqual(111) // a pause saves one second's worth at most
})

test('a rate of 0 takes none', () => {
  expect(new RateLimitedSampler(0).shouldSample().decision).toBe(NOT_RECORD)
})

test('a span does as its parent did; what is to be kept is kept', () => {
  const sampler = new KeepingSampler(new RateLimitedSampler(0))
  const decide = (context = ROOT_CONTEXT) =>
    sampler.shouldSample(context, traceId, 'x', SpanKind.CONSUMER, {}, []).decision
  const child = (traceFlags: TraceFlags) =>
    trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: 'b7ad6b7169203331', traceFlags, isRemote: true })
  expect(decide()).toBe(NOT_RECORD)
  expect(decide(child(TraceFlags.SAMPLED))).toBe(RECORD_AND_SAMPLED)
  expect(decide(child(TraceFlags.NONE))).toBe(NOT_RECORD)
  expect(decide(child(TraceFlags.NONE).setValue(KEEP, true))).toBe(RECORD_AND_SAMPLED)
  expect(decide(ROOT_CONTEXT.setValue(KEEP, true))).toBe(RECORD_AND_SAMPLED)
})
