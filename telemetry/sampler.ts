import { type Context, createContextKey } from '@opentelemetry/api'
import {
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
} from '@opentelemetry/sdk-trace'

/** Set by @conveyor/stream in the context of a span about something that went wrong. */
const KEEP = createContextKey('conveyor.keep')

const SAMPLED: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED }
const REFUSED: SamplingResult = { decision: SamplingDecision.NOT_RECORD }

/** Takes as many root spans as come, up to so many per second; after a pause, one second's worth at once. */
export class RateLimitedSampler implements Sampler {
  private allowance: number
  private last: number

  /** @param now ms, for tests */
  constructor(
    private readonly perSecond: number,
    private readonly now = () => performance.now(),
  ) {
    this.allowance = perSecond
    this.last = now()
  }

  shouldSample(): SamplingResult {
    const now = this.now()
    const earned = ((now - this.last) / 1000) * this.perSecond
    this.allowance = Math.min(this.perSecond, this.allowance + earned)
    this.last = now
    if (this.allowance < 1) return REFUSED
    this.allowance--
    return SAMPLED
  }

  toString(): string {
    return `RateLimitedSampler{${this.perSecond}/s}`
  }
}

/** What is marked to be kept is taken; otherwise a span does as its parent did, and roots do as `root` says. */
export class KeepingSampler implements Sampler {
  private readonly parentBased: Sampler

  constructor(root: Sampler) {
    this.parentBased = new ParentBasedSampler({ root })
  }

  shouldSample(context: Context, ...span: Rest): SamplingResult {
    return context.getValue(KEEP) ? SAMPLED : this.parentBased.shouldSample(context, ...span)
  }

  toString(): string {
    return `KeepingSampler{${this.parentBased}}`
  }
}

type Rest = Parameters<Sampler['shouldSample']> extends [Context, ...infer R] ? R : never
