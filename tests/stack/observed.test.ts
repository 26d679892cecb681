import { beforeAll, describe, expect, inject, test } from 'vitest'
import { panelQueries, provisionedDatasources, usedDatasources } from './dashboards.ts'
import { type DocumentedMetric, documented, seriesOf } from './documented.ts'
import { runWithFaults, SETTINGS } from './fault-run.ts'
import type { Span } from './jaeger-api.ts'
import { alertExpressions } from './rules.ts'
import { explained, useWatchedPipeline } from './start-stack.ts'

const { metrics, spans } = await documented()
const queries = await panelQueries()
const alerts = await alertExpressions()
const PRODUCER = 'conveyor-producer'
const CONSUMER = 'conveyor-consumer'

describe.skipIf(!inject('binaries'))('a run with faults, as it is seen', () => {
  const watched = useWatchedPipeline(SETTINGS)
  const prometheus = () => watched().stack.prometheus
  const jaeger = () => watched().stack.jaeger

  beforeAll(() => explained(watched(), () => runWithFaults(watched())))

  describe('metrics of docs/telemetry.md in Prometheus', () => {
    test.each(metrics.flatMap(metric => metric.jobs.map(job => ({ name: metric.name, job, metric }))))(
      '$name of $job',
      async ({ job, metric }) => {
        for (const name of seriesOf(metric)) await prometheus().when(`{__name__="${name}",job="${job}"}`)
        await expectLabels(metric, job)
      },
    )

    /** Each label that is named is there, with each value that is named; a label may be of one service only. */
    async function expectLabels({ name, type, jobs, labels }: DocumentedMetric, job: string) {
      const one = type === 'histogram' ? `${name}_count` : name
      for (const [label, values] of labels) {
        for (const value of values) await prometheus().when(`${one}{${label}="${value}"}`)
        const of = values.length > 0 ? jobs.join('|') : job
        if (values.length === 0) await prometheus().when(`${one}{job=~"${of}",${label}!=""}`)
      }
    }

    test('no others but those of the SDK and the runtime', async () => {
      const names = (await prometheus().series(`{job=~"${PRODUCER}|${CONSUMER}"}`)).map(
        ({ __name__ = '' }) => __name__,
      )
      const known = new Set(metrics.flatMap(seriesOf))
      const foreign = /^(otel_sdk_|nodejs_|v8js_|traces_span_metrics_|target_info$|scrape_|up$|ALERTS)/
      expect([...new Set(names)].filter(name => !known.has(name) && !foreign.test(name))).toEqual([])
    })

    test('each process is an instance of its own', async () => {
      const ids = await prometheus().query('count by (instance) (messages_processed_total)')
      expect(ids.length).toBeGreaterThanOrEqual(3)
    })

    test('all parts are scraped', async () => {
      const jobs = ['conveyor', 'otel-collector', 'jaeger', 'prometheus']
      if (watched().stack.hasRedisExporter) jobs.push('redis')
      for (const job of jobs) await prometheus().when(`up{job="${job}"} == 1`)
    })
  })

  describe('spans of docs/telemetry.md in Jaeger', () => {
    test.each(spans.flatMap(span => span.services.map(service => ({ ...span, service }))))(
      '$name of $service',
      async ({ name, service, kind }) => {
        const found = await jaeger().when({ service, operation: name }, trace =>
          trace.find(span => span.name === name && span.service === service),
        )
        expect(found.kind).toBe(kind)
      },
    )
  })

  describe('a package in Jaeger', () => {
    const EDGES = [
      [PRODUCER, 'send number_stream', CONSUMER, 'process number_stream'],
      [CONSUMER, 'process number_stream', CONSUMER, 'commit number_stream'],
      [CONSUMER, 'process number_stream', CONSUMER, 'write output'],
    ] as const

    test.each(EDGES)('%s: %s -> %s: %s', async (service, operation, childService, childName) => {
      await jaeger().when({ service, operation }, trace =>
        trace.find(
          child =>
            child.name === childName &&
            child.service === childService &&
            trace.some(
              span => span.id === child.parent && span.name === operation && span.service === service,
            ),
        ),
      )
    })

    test.each([
      ['poll number_stream', 'send number_stream'],
      ['settle number_stream', 'process number_stream'],
    ])('%s links to %s', async (operation, target) => {
      const batch = await jaeger().when({ service: CONSUMER, operation }, trace =>
        trace.find(span => span.name === operation && span.links.length > 0),
      )
      const [link] = batch.links
      const linked = (await jaeger().trace(link?.trace ?? '')).find(({ id }) => id === link?.id)
      expect(linked?.name).toBe(target)
    })

    test('one that was taken over shows both consumers, and who was refused', async () => {
      const query = { service: CONSUMER, tags: { 'conveyor.claimed_from': 'c1' }, limit: 100 }
      const client = (span: Span) => span.attributes['messaging.client.id']
      const trace = await jaeger().when(query, spans => {
        const handled = new Set(spans.filter(({ name }) => name.startsWith('process ')).map(client))
        return handled.size === 2 ? spans : undefined
      })
      const commits = trace.filter(({ name }) => name.startsWith('commit '))
      const refused = commits.filter(span => span.attributes['conveyor.fenced'] === true)
      expect(refused.map(client)).toEqual(['c1'])
      expect(commits.filter(span => !refused.includes(span)).map(client)).not.toContain('c1')
      expect(trace.filter(({ name }) => name === 'write output')).toHaveLength(1)
    })
  })

  describe('queries', () => {
    /** Whether a query may find nothing although it is right: it asks for what is more or less than something. */
    const compares = (expression: string) => /[<>]/.test(expression)
    /** Counted from the first failure only; collector.test.ts has one. */
    const unheard = (selector: string) => /otelcol_exporter_\S*failed/.test(selector)

    async function expectSeries(expression: string) {
      const selectors = (await prometheus().selectors(expression)).filter(one => !unheard(one))
      for (const selector of selectors) {
        if (!watched().stack.hasRedisExporter && /redis_/.test(selector)) continue
        expect((await prometheus().series(selector)).length, selector).toBeGreaterThan(0)
      }
    }

    test.each(queries)('$dashboard, $panel: $expression', async ({ expression }) => {
      await expectSeries(expression)
      if (/redis_/.test(expression) && !watched().stack.hasRedisExporter) return
      // A rate is no number until there are two samples with something between them.
      await prometheus().when(
        expression,
        samples =>
          (compares(expression) || samples.length > 0) && samples.every(({ value }) => !Number.isNaN(value)),
        20_000,
      )
    })

    test.each(alerts)('alert $alert', ({ expr }) => expectSeries(expr))

    test('data sources are provisioned', async () => {
      const provisioned = await provisionedDatasources()
      const used = await usedDatasources()
      expect(used.size).toBeGreaterThanOrEqual(2)
      for (const uid of used) expect(provisioned).toContain(uid)
    })
  })

  test('an exemplar in Prometheus leads to a trace in Jaeger', async () => {
    const selector = 'traces_span_metrics_duration_seconds_bucket{span_name="process number_stream"}'
    await prometheus().when(selector)
    const ids = await prometheus().exemplars(selector)
    expect(ids.length).toBeGreaterThan(0)
    const trace = await jaeger().trace(ids.at(-1) ?? '')
    expect(trace.map(({ name }) => name)).toContain('process number_stream')
  })

  test.each(['OutcomesFenced', 'DeadLetters', 'SpansDropped'])('the alert %s fires', async alert => {
    await prometheus().when(`ALERTS{alertname="${alert}",alertstate="firing"}`)
  })

  test('no alert fires that has no reason to', async () => {
    const firing = (await prometheus().alerts()).filter(({ state }) => state === 'firing')
    const names = new Set(firing.map(({ labels }) => labels.alertname))
    expect([...names].sort()).toEqual(['DeadLetters', 'OutcomesFenced', 'SpansDropped'])
  })
})
