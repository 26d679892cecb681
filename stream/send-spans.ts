import { context, propagation, type Span, SpanKind, trace } from '@opentelemetry/api'
import type { Template } from './append.ts'
import { ATTRIBUTE } from './semconv.ts'
import { fail, getTracer, isSampled, type Kind } from './tracing.ts'

/** The spans of one request to append. */
export class Sends {
  private constructor(
    /** As given, but each sampled message is a template of its own that carries its trace context. */
    readonly templates: Template[],
    private readonly spans: { readonly span: Span; readonly offset: number }[],
  ) {}

  /**
   * Begins a span for each message until the sampler refuses one: to ask for all would cost more than to append them.
   * Messages that carry a trace context keep theirs.
   */
  static begin({ name, attributes }: Kind, templates: Template[]): Sends {
    const tracer = getTracer()
    const spans: { span: Span; offset: number }[] = []
    const parent = context.active()
    let refused = false
    let offset = 0
    const traced = templates.flatMap(template => {
      const { count, headers } = template
      const singles: Template[] = []
      for (let n = 0; n < count && !refused && headers?.traceparent === undefined; n++) {
        const span = tracer.startSpan(name, { kind: SpanKind.PRODUCER, attributes }, parent)
        if (!isSampled(span.spanContext())) {
          refused = true
          break
        }
        const carrier: Record<string, string> = { ...headers }
        propagation.inject(trace.setSpan(parent, span), carrier)
        spans.push({ span, offset: offset + singles.length })
        singles.push({ ...template, count: 1, headers: carrier })
      }
      offset += count
      const rest = { ...template, count: count - singles.length }
      return rest.count > 0 ? [...singles, rest] : singles
    })
    return new Sends(spans.length > 0 ? traced : templates, spans)
  }

  /** Ends the spans of what was appended; those of what was not, after the last number, are forgotten. */
  end(epoch: string, first: number, count: number, attempts: number): void {
    for (const { span, offset } of this.spans) {
      if (offset >= count) break
      span.setAttributes({ [ATTRIBUTE.package]: first + offset, [ATTRIBUTE.epoch]: epoch })
      if (attempts > 1) span.setAttribute(ATTRIBUTE.attempts, attempts)
      span.end()
    }
  }

  fail(type: string): void {
    for (const { span } of this.spans) {
      fail(span, type)
      span.end()
    }
  }
}
