import {
  type Attributes,
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  trace,
} from '@opentelemetry/api'
import type { Keys } from './keys.ts'
import { Poison } from './message.ts'
import type { Outcome } from './outcome.ts'
import type { Delivery } from './read.ts'
import { ATTRIBUTE, OUTPUT_SPAN } from './semconv.ts'
import { fail, getTracer, isSampled, type Kind, kept, record, spansOf } from './tracing.ts'

/** A batch span links to so many at most, which is what the SDK keeps by default. */
const MOST_LINKS = 128

/** A committed batch, as spans show it. */
export interface SettledBatch {
  readonly outcomes: readonly Outcome[]
  /** Ids of those that were refused. */
  readonly fenced: ReadonlySet<string>
  /** performance.now() when the request was made. */
  readonly asked: number
  /** Offset of the output's end after it; undefined when no file is written. */
  readonly end: number | undefined
  /** Up to which offset the output is known to be on disk. */
  readonly flushed: number
}

/**
 * The spans of a consumer's entries. An entry has spans when its producer's span is sampled, or when
 * something went wrong with it; others cost a comparison.
 */
export class EntrySpans {
  private readonly poll: Kind
  private readonly processing: Kind
  private readonly commit: Kind
  private readonly settle: Kind
  private readonly claimed = new Map<string, { from: string; span: SpanContext }>()
  /** Spans of lines that are not on disk yet, in the order of their offsets. */
  private unwritten: { end: number; parent: Context; started: number }[] = []

  constructor(
    keys: Keys,
    private readonly consumer: string,
    url: string,
  ) {
    this.poll = spansOf(keys, 'poll', url, consumer)
    this.processing = spansOf(keys, 'process', undefined, consumer)
    this.commit = spansOf(keys, 'commit', url, consumer)
    this.settle = spansOf(keys, 'settle', url, consumer)
  }

  /** Notes from whom entries were taken over, for when they are handed over. */
  claim(entries: readonly string[], from: string, span: SpanContext): void {
    for (const entry of entries) this.claimed.set(entry, { from, span })
  }

  /** Records the reading of a batch, if spans follow from it and the sampler has it. */
  polled(batch: readonly Delivery[], started: number): void {
    const links: Link[] = []
    for (const { origin } of batch) {
      if (!origin || links.length === MOST_LINKS) continue
      const span = trace.getSpanContext(origin)
      if (isSampled(span)) links.push({ context: span })
    }
    if (links.length === 0) return
    const attributes = { ...this.poll.attributes, [ATTRIBUTE.batch]: batch.length }
    record({ name: this.poll.name, attributes, links, started, ask: true })
  }

  /** Begins the span of an entry that is given to its handler, if it has one. */
  begin(delivery: Delivery): Span | undefined {
    const { entry, message, origin } = delivery
    if (message instanceof Poison) return undefined
    const claimed = this.claimed.size > 0 ? this.claimed.get(entry) : undefined
    const { deliveries, attempt, replays } = message
    const again = deliveries > 1 || attempt > 1 || replays > 0 || claimed !== undefined
    if (!again && (!origin || !isSampled(trace.getSpanContext(origin)))) return undefined
    const attributes = this.attributesOf(delivery)
    if (claimed) {
      attributes[ATTRIBUTE.claimedFrom] = claimed.from
      this.claimed.delete(entry)
    }
    const parent = origin ?? ROOT_CONTEXT
    return getTracer().startSpan(
      this.processing.name,
      { kind: SpanKind.CONSUMER, attributes, links: claimed ? [{ context: claimed.span }] : [] },
      again ? kept(parent) : parent,
    )
  }

  /**
   * Records an attempt that failed and had no span, because nobody had thought of tracing the package. Returns the
   * context in which the rest of its story belongs.
   */
  failed(delivery: Delivery, reason: string, started: number): Context {
    const parent = delivery.origin ?? ROOT_CONTEXT
    const attributes = this.attributesOf(delivery)
    const { name } = this.processing
    const span = record({ name, kind: SpanKind.CONSUMER, attributes, parent, started, error: reason })
    return trace.setSpanContext(parent, span)
  }

  private attributesOf({ entry, message, past }: Delivery): Attributes {
    const attributes: Attributes = { ...this.processing.attributes, [ATTRIBUTE.entry]: entry }
    if (message.package !== undefined) attributes[ATTRIBUTE.package] = message.package
    const { attempt = 1, replays = 0 } = past ?? {}
    const deliveries = message instanceof Poison ? 1 : message.deliveries
    if (deliveries > 1) attributes[ATTRIBUTE.deliveries] = deliveries
    if (attempt > 1) attributes[ATTRIBUTE.attempt] = attempt
    if (replays > 0) attributes[ATTRIBUTE.replays] = replays
    return attributes
  }

  /**
   * Records a commit: of each entry that has spans, and of the batch, if the sampler has it or some were refused.
   * `tell` is called in the context of an entry that failed.
   */
  settled(batch: SettledBatch, tell: (outcome: Outcome) => void): void {
    const { outcomes, asked, end, flushed } = batch
    const now = performance.now()
    const links: Link[] = []
    for (const outcome of outcomes) {
      const { entry, kind, trace: parent } = outcome
      if (this.claimed.size > 0) this.claimed.delete(entry) // one that never had its turn
      const fenced = batch.fenced.has(entry)
      const fine = !fenced && (kind === 'done' || kind === 'skip')
      if (!parent && fine) continue
      const span = parent && trace.getSpanContext(parent)
      if (isSampled(span) && links.length < MOST_LINKS) links.push({ context: span })
      else if (!isSampled(span) && fine) continue
      const attributes: Attributes = {
        ...this.commit.attributes,
        [ATTRIBUTE.entry]: entry,
        [ATTRIBUTE.outcome]: kind,
      }
      if (fenced) attributes[ATTRIBUTE.fenced] = true
      if (outcome.package !== undefined) attributes[ATTRIBUTE.package] = outcome.package
      if (kind === 'retry') attributes[ATTRIBUTE.retryDelay] = outcome.delay / 1000
      const failed = kind === 'dead' || kind === 'retry'
      const error = fenced ? 'fenced' : failed ? outcome.reason : undefined
      record(
        {
          name: this.commit.name,
          attributes,
          started: asked,
          ended: now,
          ...(parent && { parent }),
          ...(error && { error }),
        },
        failed ? () => tell(outcome) : undefined,
      )
      if (parent && end !== undefined && kind === 'done' && !fenced)
        this.unwritten.push({ end, parent, started: now })
    }
    this.flushed(flushed)
    if (links.length === 0 && batch.fenced.size === 0) return
    const fenced = batch.fenced.size
    const attributes: Attributes = { ...this.settle.attributes, [ATTRIBUTE.batch]: outcomes.length }
    if (fenced > 0) attributes[ATTRIBUTE.fenced] = fenced
    record({ name: this.settle.name, attributes, links, started: asked, ended: now, ask: fenced === 0 })
  }

  /** Ends the spans of the lines before an offset, which are on disk. */
  flushed(to: number): void {
    if (this.unwritten.length === 0) return
    const left = this.unwritten.findIndex(({ end }) => end > to)
    const written = left === -1 ? this.unwritten : this.unwritten.slice(0, left)
    this.unwritten = left === -1 ? [] : this.unwritten.slice(left)
    const attributes = { [ATTRIBUTE.client]: this.consumer }
    for (const { parent, started } of written)
      record({ name: OUTPUT_SPAN.write, kind: SpanKind.INTERNAL, attributes, parent, started })
  }
}

/** Ends a span of {@link EntrySpans.begin}. */
export function endSpan(span: Span, outcome: Outcome): void {
  if (outcome.kind === 'dead' || outcome.kind === 'retry') fail(span, outcome.reason)
  span.end()
}
