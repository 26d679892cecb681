import { readdir, readFile, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { consumerSettings } from '../consumer/config.ts'
import { producerSettings } from '../producer/config.ts'
import { amqpSettings, bridgeSettings } from '../rabbitmq/config.ts'
import { REASONS } from '../stream/reasons.ts'
import { ATTRIBUTE, METRIC } from '../stream/semconv.ts'
import { telemetrySettings } from '../telemetry/config.ts'

const path = (name: string) => new URL(`../${name}`, import.meta.url)
const read = (name: string) => readFile(path(name), 'utf8')

const SCHEMAS = [consumerSettings, producerSettings, bridgeSettings, z.object(amqpSettings)]

test('docs/configuration.md names every variable of the services, and no other', async () => {
  const text = await read('docs/configuration.md')
  const documented = [...text.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(match => match[1])
  const variables = new Set(SCHEMAS.flatMap(({ shape }) => Object.keys(shape)))
  expect(documented.sort()).toEqual([...variables].sort())
})

test('docs/configuration.md names their defaults', async () => {
  const text = await read('docs/configuration.md')
  for (const schema of SCHEMAS) {
    for (const [name, value] of Object.entries(schema.parse({}))) {
      const cell = new RegExp(`^\\| \`${name}\` \\| \`?([^\`|]*?)\`? \\|`, 'm').exec(text)?.[1]
      expect(cell, name).toBe(String(value))
    }
  }
})

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
  const metrics = Object.values(METRIC).map(name => name.replaceAll('.', '_'))
  const attributes = Object.values(ATTRIBUTE).map(name => name.replace('operation.type', 'operation.name'))
  for (const name of [...metrics, ...attributes, ...Object.keys(telemetrySettings.shape)])
    expect(text, name).toMatch(new RegExp(`\\b${name.replaceAll('.', '\\.')}`))
})
