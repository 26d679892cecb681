import { until } from '@conveyor/chaos'

export interface Sample {
  readonly metric: Record<string, string>
  readonly value: number
}

/** A node of a parsed expression, as Prometheus shows it; only what is used here. */
interface PromNode {
  readonly type?: string
  readonly matchers?: { name: string; type: string; value: string }[]
}

export interface Alert {
  readonly labels: Record<string, string>
  readonly state: 'pending' | 'firing'
}

/** Asks a Prometheus by its HTTP API. Everything rejects with what Prometheus says when it refuses. */
export class PrometheusApi {
  constructor(readonly url: string) {}

  /** Evaluates an expression now. A scalar is one sample without labels. */
  async query(expression: string): Promise<Sample[]> {
    const data = await this.get<{ resultType: string; result: unknown }>('query', { query: expression })
    if (data.resultType === 'scalar') {
      return [{ metric: {}, value: Number((data.result as [number, string])[1]) }]
    }
    const vector = data.result as { metric: Record<string, string>; value: [number, string] }[]
    return vector.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }

  /** The value of an expression that gives one sample; undefined when it gives none. */
  async value(expression: string): Promise<number | undefined> {
    return (await this.query(expression))[0]?.value
  }

  /** Waits until the expression gives something that the condition accepts. */
  when(
    expression: string,
    condition: (samples: Sample[]) => boolean = samples => samples.length > 0,
    ms = 60_000,
  ): Promise<Sample[]> {
    let last: Sample[] = []
    const look = async () => {
      last = await this.query(expression)
      return condition(last) ? last : undefined
    }
    return until(look, `${expression} in Prometheus`, ms, () => JSON.stringify(last.slice(0, 10)))
  }

  /** The selectors in an expression; rejects when it cannot be parsed. */
  async selectors(expression: string): Promise<string[]> {
    const found: string[] = []
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return
      const { type, matchers = [] } = node as PromNode
      if (type === 'vectorSelector' || type === 'matrixSelector') {
        const parts = matchers.map(one => `${one.name}${one.type}${JSON.stringify(one.value)}`)
        found.push(`{${parts.join(',')}}`)
      } else {
        for (const child of Object.values(node)) walk(child)
      }
    }
    walk(await this.get('parse_query', { query: expression }))
    return [...new Set(found)]
  }

  /** Label sets of the series that a selector has met so far. */
  series(selector: string): Promise<Record<string, string>[]> {
    return this.get('series', { 'match[]': selector })
  }

  async alerts(): Promise<Alert[]> {
    return (await this.get<{ alerts: Alert[] }>('alerts', {})).alerts
  }

  /** Ids of traces that a metric's samples point to. */
  async exemplars(selector: string): Promise<string[]> {
    const now = Date.now() / 1000
    const range = { start: String(now - 600), end: String(now) }
    const data = await this.get<{ exemplars: { labels: Record<string, string> }[] }[]>('query_exemplars', {
      query: selector,
      ...range,
    })
    return data.flatMap(({ exemplars }) => exemplars.flatMap(({ labels }) => labels.trace_id ?? []))
  }

  private async get<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const answer = (await response.json()) as { status: string; data: T; error?: string }
    if (answer.status !== 'success') throw new Error(`${JSON.stringify(parameters)}: ${answer.error}`)
    return answer.data
  }
}
