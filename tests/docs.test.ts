import { readdir, readFile, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { consoleSettings } from '../console/config.ts'
import { consumerSettings } from '../consumer/config.ts'
import { producerSettings } from '../producer/config.ts'
import { amqpSettings, bridgeSettings } from '../rabbitmq/config.ts'
import { METRIC as RABBITMQ } from '../rabbitmq/semconv.ts'
import { common } from '../service/config.ts'
import { sourceSettings } from '../source/config.ts'
import { REASONS } from '../stream/reasons.ts'
import { ATTRIBUTE, METRIC } from '../stream/semconv.ts'
import { telemetrySettings } from '../telemetry/config.ts'

const path = (name: string) => new URL(`../${name}`, import.meta.url)
const read = (name: string) => readFile(path(name), 'utf8')

/** Variables and defaults by the table in a section of docs/configuration.md. */
async function documented(section: string): Promise<Map<string, string>> {
  const [, after = ''] = (await read('docs/configuration.md')).split(`\n## ${section}\n`)
  const [text = ''] = after.split('\n## ')
  const rows = text.matchAll(/^\| `([A-Z_]+)` \| `?([^`|]*?)`? ?\|/gm)
  return new Map([...rows].map(([, name = '', value = '']) => [name, value]))
}

/** Sections, the settings that they are about, and those which tell of the rest of these. */
const SECTIONS: [section: string, shape: z.ZodRawShape, others: string[]][] = [
  ['Every service', common, []],
  ['Producer', producerSettings.shape, ['Every service']],
  ['Source', sourceSettings.shape, ['Every service']],
  ['Console', consoleSettings.shape, ['Every service', 'Consumer']],
  ['Consumer', consumerSettings.shape, ['Every service', 'RabbitMQ bridge']],
  [
    'RabbitMQ bridge',
    { ...bridgeSettings.shape, ...amqpSettings },
    ['Every service', 'Producer', 'Consumer'],
  ],
]

test.each(SECTIONS)(
  'docs/configuration.md, %s: names every variable, no other, and their defaults',
  async (section, shape, others) => {
    const own = await documented(section)
    expect([...own.keys()].filter(name => !(name in shape))).toEqual([])
    const rest = (await Promise.all(others.map(documented))).flatMap(one => [...one])
    const all = new Map([...rest.reverse(), ...own])
    expect(Object.keys(shape).filter(name => !all.has(name))).toEqual([])
    for (const [name, value] of Object.entries(z.object(shape).parse({})))
      expect(all.get(name), name).toBe(String(value))
  },
)

test('every folder that README.md names is there, and every link of the docs leads somewhere', async () => {
  const folders = [...(await read('README.md')).matchAll(/^\| ((?:`[a-z-]+\/`(?:, )?)+) \|/gm)].flatMap(
    ([, cell]) => cell?.match(/[a-z-]+/g) ?? [],
  )
  expect(folders.length).toBeGreaterThan(8)
  for (const folder of folders) expect((await stat(path(folder))).isDirectory(), folder).toBe(true)
  for (const file of [
    'README.md',
    ...(await readdir(path('docs'))).filter(name => name.endsWith('.md')).map(name => `docs/${name}`),
  ]) {
    for (const [, target] of (await read(file)).matchAll(/\]\((?!http)([^)#]+)\)/g)) {
      await stat(new URL(target as string, path(file)))
    }
  }
})

test('docs/telemetry.md names every metric, attribute, reason and setting', async () => {
  const text = await read('docs/telemetry.md')
  for (const reason of REASONS) expect(text, reason).toContain(`| \`${reason}\` |`)
  const metrics = [...Object.values(METRIC), ...Object.values(RABBITMQ)].map(name =>
    name.replaceAll('.', '_'),
  )
  const attributes = Object.values(ATTRIBUTE).map(name => name.replace('operation.type', 'operation.name'))
  for (const name of [...metrics, ...attributes, ...Object.keys(telemetrySettings.shape)])
    expect(text, name).toMatch(new RegExp(`\\b${name.replaceAll('.', '\\.')}`))
})
