import { until } from '@conveyor/chaos'

export interface Span {
  readonly trace: string
  readonly id: string
  readonly name: string
  readonly service: string
  /** INTERNAL, PRODUCER, … */
  readonly kind: string
  readonly attributes: Record<string, unknown>
  /** Attributes of the process. */
  readonly resource: Record<string, unknown>
  readonly parent?: string
  /** Spans that it links to. */
  readonly links: readonly { readonly trace: string; readonly id: string }[]
}

interface Tag {
  readonly key: string
  readonly value: unknown
}
interface JaegerTrace {
  readonly spans: {
    traceID: string
    spanID: string
    operationName: string
    processID: string
    tags: Tag[]
    references: { refType: 'CHILD_OF' | 'FOLLOWS_FROM'; traceID: string; spanID: string }[]
  }[]
  readonly processes: Record<string, { serviceName: string; tags: Tag[] }>
}

export interface TraceQuery {
  readonly service: string
  readonly operation?: string
  readonly tags?: Record<string, string>
  readonly limit?: number
}

/** Asks a Jaeger by the API that its own pages and Grafana use. */
export class JaegerApi {
  constructor(readonly url: string) {}

  services(): Promise<string[]> {
    return this.get('services')
  }

  /** Traces in which a span is so, each as its spans. */
  async traces({ service, operation, tags, limit = 20 }: TraceQuery): Promise<Span[][]> {
    const parameters = new URLSearchParams({ service, limit: String(limit), lookback: '1h' })
    if (operation !== undefined) parameters.set('operation', operation)
    if (tags !== undefined) parameters.set('tags', JSON.stringify(tags))
    return (await this.get<JaegerTrace[]>(`traces?${parameters}`)).map(spansOf)
  }

  /** The spans of a trace; none when Jaeger does not have it. */
  async trace(id: string): Promise<Span[]> {
    const traces = await this.get<JaegerTrace[]>(`traces/${id}`).catch(() => [])
    return traces.flatMap(spansOf)
  }

  /** Waits for a trace in which the condition finds something, and returns what it found. */
  when<T>(query: TraceQuery, find: (trace: Span[]) => T | undefined, ms = 60_000): Promise<T> {
    let last: Span[][] = []
    const look = async () => {
      last = await this.traces(query)
      for (const trace of last) {
        const found = find(trace)
        if (found) return found
      }
      return undefined
    }
    const explain = () =>
      last
        .slice(0, 3)
        .map(trace => trace.map(({ name, service }) => `${service}: ${name}`).join(', '))
        .join('\n')
    return until(look, `${JSON.stringify(query)} in Jaeger`, ms, explain)
  }

  private async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/${path}`)
    if (!response.ok) throw new Error(`Jaeger, ${path}: ${response.status} ${await response.text()}`)
    return ((await response.json()) as { data: T }).data
  }
}

const record = (tags: Tag[]) => Object.fromEntries(tags.map(({ key, value }) => [key, value]))

function spansOf({ spans, processes }: JaegerTrace): Span[] {
  return spans.map(span => {
    const { 'span.kind': kind = 'internal', ...attributes } = record(span.tags)
    const parent = span.references.find(({ refType }) => refType === 'CHILD_OF')
    const process = processes[span.processID]
    return {
      trace: span.traceID,
      id: span.spanID,
      name: span.operationName,
      service: process?.serviceName ?? '',
      kind: String(kind).toUpperCase(),
      attributes,
      resource: record(process?.tags ?? []),
      ...(parent && { parent: parent.spanID }),
      links: span.references
        .filter(({ refType }) => refType === 'FOLLOWS_FROM')
        .map(({ traceID, spanID }) => ({ trace: traceID, id: spanID })),
    }
  })
}
