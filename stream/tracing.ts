import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Keys } from './keys.ts'
import { ATTRIBUTE, OPERATION_TYPE, type Operation, SCOPE } from './semconv.ts'

/**
 * Set in the context of a span that is to be sampled whatever the rate: it is about something that went
 * wrong, or belongs to one that is sampled. @conveyor/telemetry's sampler knows the key by its name.
 */
const KEEP = createContextKey('conveyor.keep')

export function getTracer(): Tracer {
  return trace.getTracer(SCOPE)
}

/** The context, with its next span sampled whatever the rate. */
export function kept(parent: Context = ROOT_CONTEXT): Context {
  return parent.setValue(KEEP, true)
}

export function isSampled(span: SpanContext | undefined): span is SpanContext {
  return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0
}

/** What all spans of one operation have in common. */
export interface Kind {
  readonly name: string
  readonly attributes: Attributes
}

/** Name and attributes of spans about the stream. `url`: of the Redis that is asked; `consumer`: whose they are. */
export function spansOf(
  { stream, group }: Pick<Keys, 'stream' | 'group'>,
  operation: Operation,
  url?: string,
  consumer?: string,
): Kind {
  const type = OPERATION_TYPE[operation]
  return {
    name: `${operation} ${stream}`,
    attributes: {
      [ATTRIBUTE.system]: 'redis',
      [ATTRIBUTE.destination]: stream,
      [ATTRIBUTE.operation]: operation,
      ...(type && { [ATTRIBUTE.operationType]: type }),
      ...(consumer && { [ATTRIBUTE.group]: group, [ATTRIBUTE.client]: consumer }),
      ...(url && serverOf(url)),
    },
  }
}

function serverOf(url: string): Attributes {
  if (!URL.canParse(url)) return {}
  const { hostname, port } = new URL(url)
  return { [ATTRIBUTE.serverAddress]: hostname, [ATTRIBUTE.serverPort]: Number(port || 6379) }
}

/** The context that an entry's producer sent along. */
export function originOf(headers: { readonly traceparent?: string; readonly tracestate?: string }): Context {
  return propagation.extract(ROOT_CONTEXT, headers)
}

/** The W3C `traceparent` of a context; '' when it has none. */
export function traceparentOf(within: Context | undefined): string {
  if (!within) return ''
  const carrier: Record<string, string> = {}
  propagation.inject(within, carrier)
  return carrier.traceparent ?? ''
}

export interface Ended {
  readonly name: string
  readonly kind?: SpanKind
  readonly attributes?: Attributes
  readonly links?: Link[]
  readonly parent?: Context
  /** performance.now() at its start, and at its end if that is not now. */
  readonly started: number
  readonly ended?: number
  readonly error?: string
  /** Whether the sampler is asked; default no, it is sampled whatever the rate. */
  readonly ask?: boolean
}

/** Records a span of what has just ended. `tell` runs in its context, so that logs carry its ids. */
export function record(what: Ended, tell?: () => void): SpanContext {
  const { name, kind = SpanKind.CLIENT, attributes = {}, links = [], parent = ROOT_CONTEXT, started } = what
  const options = { kind, attributes, links, startTime: started }
  const span = getTracer().startSpan(name, options, what.ask ? parent : kept(parent))
  if (what.error !== undefined) fail(span, what.error)
  if (tell) context.with(trace.setSpan(ROOT_CONTEXT, span), tell)
  span.end(what.ended)
  return span.spanContext()
}

/** @param type one of a few names, never a message: those may hold what is private */
export function fail(span: Span, type: string): void {
  span.setAttribute(ATTRIBUTE.errorType, type)
  span.setStatus({ code: SpanStatusCode.ERROR })
}
