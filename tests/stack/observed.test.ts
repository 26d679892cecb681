import { type PostgresServer, until } from '@conveyor/chaos'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
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
const CLI = 'conveyor-cli'

describe.skipIf(!inject('binaries'))('a run with faults, as it is seen', () => {
  const watched = useWatchedPipeline(SETTINGS)
  const prometheus = () => watched().stack.prometheus
  const jaeger = () => watched().stack.jaeger

  let database: PostgresServer | undefined
  beforeAll(() =>
    explained(watched(), async () => {
      database = await runWithFaults(watched())
    }),
  )
  afterAll(() => database?.stop())

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

    test('every package is in one place: done, waiting, given up, pending or not delivered', async () => {
      const places = [
        'conveyor_packages_done',
        'conveyor_dead_letters_by_reason{error_type!="no data"}', // that one was no package
        'conveyor_purged_total',
        'conveyor_retry_waiting',
        'conveyor_pending',
        'conveyor_lag',
      ]
      const known = places.map(metric => `sum by (instance) (${metric})`)
      const balance = ['sum by (instance) (conveyor_packages_given_out)', ...known].join(' - ')
      await prometheus().when(balance, samples => samples.some(({ value }) => value === 0))
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
      // A span that is linked to may still be on its way, or have been dropped by the producer whose queue is small.
      const linked = async () => {
        const batches = (await jaeger().traces({ service: CONSUMER, operation })).flat()
        for (const { links } of batches.filter(({ name }) => name === operation)) {
          const [link] = links
          const trace = link ? await jaeger().trace(link.trace) : []
          if (trace.some(({ id, name }) => id === link?.id && name === target)) return true
        }
        return undefined
      }
      expect(await until(linked, `${operation} with a link to ${target}`, 60_000)).toBe(true)
    })

    test('one that failed is a trace from its first failure to its line, the replay included', async () => {
      const query = { service: CLI, operation: 'replay number_stream' }
      const trace = await jaeger().when(query, spans =>
        spans.some(({ name }) => name === 'write output') ? spans : undefined,
      )
      const ofKind = (operation: string) => trace.filter(({ name }) => name.startsWith(`${operation} `))
      const count = (spans: Span[], attribute: string, value: unknown) =>
        spans.filter(({ attributes }) => attributes[attribute] === value).length
      const processed = ofKind('process')
      expect(processed).toHaveLength(6)
      expect(count(processed, 'error.type', 'handler failed')).toBe(5)
      expect(processed.filter(({ parent }) => parent === undefined)).toHaveLength(1)
      for (const attempt of [2, 3, 4, 5]) expect(count(processed, 'conveyor.attempt', attempt)).toBe(1)
      expect(count(processed, 'conveyor.replays', 1)).toBe(1)
      const committed = ofKind('commit')
      for (const [outcome, times] of [
        ['retry', 4],
        ['dead', 1],
        ['done', 1],
      ] as const)
        expect(count(committed, 'conveyor.outcome', outcome), outcome).toBe(times)
      for (const { attributes } of committed)
        if (attributes['conveyor.outcome'] === 'retry')
          expect(attributes['conveyor.retry.delay']).toBeGreaterThan(0)
    })

    test('one that was taken over shows both consumers, and who was refused', async () => {
      const query = { service: CONSUMER, tags: { 'conveyor.claimed_from': 'c1' }, limit: 100 }
      const client = (span: Span) => span.attributes['messaging.client.id']
      const trace = await jaeger().when(query, spans => {
        const handled = new Set(spans.filter(({ name }) => name.startsWith('process ')).map(client))
        // What c1 was given while it stood still is handled too, but its session is over before it is committed.
        const late = spans.some(({ attributes }) => attributes['conveyor.fenced'] === true)
        return handled.size === 2 && late ? spans : undefined
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

  test.each([
    ['handler failed', 1],
    ['rejected', 1],
  ])('dead letters because "%s" were counted, and are gone', async (reason, deaths) => {
    const ofReason = `{error_type="${reason}"}`
    await prometheus().when(`sum(conveyor_dead_total${ofReason}) == ${deaths}`)
    await prometheus().when(`max(conveyor_dead_letters_by_reason${ofReason}) == 0`)
  })

  test('retries, returns, replays and purges are counted', async () => {
    await prometheus().when('sum(conveyor_retries_total{error_type="handler failed"}) == 6')
    await prometheus().when('sum(conveyor_returned_total) == 6')
    await prometheus().when('max(conveyor_replays_total) == 1')
    await prometheus().when('max(conveyor_purged_total) == 1')
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
