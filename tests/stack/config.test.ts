import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, inject, test } from 'vitest'
import { parse } from 'yaml'
import { rules } from './rules.ts'
import { commandOf, composeServices, root, serviceOf } from './versions.ts'

const binaries = inject('binaries')
const run = promisify(execFile)
const path = (name: string) => fileURLToPath(new URL(name, root))

interface RuleTest {
  readonly promql_expr_test: { expr: string; exp_samples: unknown[] }[]
}

describe.skipIf(!binaries)('each program accepts its configuration', () => {
  const { collector, jaeger, promtool } = binaries ?? { collector: '', jaeger: '', promtool: '' }

  test('the Collector', async () => {
    await run(collector, ['validate', '--config', path('otel-collector/config.yaml')])
  })

  test('Jaeger', async () => {
    await run(jaeger, ['validate', '--config', path('jaeger/config.yaml')])
  })

  test('Prometheus', async () => {
    const { stdout } = await run(promtool, ['check', 'config', path('prometheus/prometheus.yml')])
    expect(stdout).toContain('1 rule files found')
  })

  test('alerts fire when they should, and only then', async () => {
    await run(promtool, ['test', 'rules', path('prometheus/rules.test.yml')])
  })
})

test('each alert has a test in which it fires and one in which it does not', async () => {
  const text = await readFile(path('prometheus/rules.test.yml'), 'utf8')
  const cases = (parse(text) as { tests: RuleTest[] }).tests.flatMap(one => one.promql_expr_test)
  const alerts = (await rules()).flatMap(({ alert }) => alert ?? [])
  expect(alerts.length).toBeGreaterThan(10)
  for (const alert of alerts) {
    const about = cases.filter(({ expr }) => expr.includes(`alertname="${alert}"`))
    expect(
      about.some(one => one.exp_samples.length > 0),
      `${alert} fires`,
    ).toBe(true)
    expect(
      about.some(one => one.exp_samples.length === 0),
      `${alert} is silent`,
    ).toBe(true)
  }
})

test('each alert says what is wrong and what to do', async () => {
  for (const { alert, labels, annotations } of await rules()) {
    if (alert === undefined) continue
    expect(['warning', 'critical'], alert).toContain(labels?.severity)
    expect(annotations?.summary?.length, alert).toBeGreaterThan(20)
    expect(annotations?.description?.length, alert).toBeGreaterThan(80)
  }
})

test('what Prometheus scrapes is a service of docker-compose.yml', async () => {
  const { scrape_configs } = parse(await readFile(path('prometheus/prometheus.yml'), 'utf8')) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }
  const hosts = scrape_configs
    .flatMap(({ static_configs }) => static_configs.flatMap(({ targets }) => targets))
    .map(target => target.split(':')[0])
  const services = await composeServices()
  for (const host of hosts) expect(['localhost', ...Object.keys(services)]).toContain(host)
  expect(commandOf(serviceOf(services, 'prometheus'))).toContain('--enable-feature=exemplar-storage')
})
