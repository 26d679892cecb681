import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../tests/redis.ts'
import { loadSchema } from './schema.ts'

async function schemaOf(schema: unknown) {
  const path = join(await tempDir(), 'schema.json')
  await writeFile(path, typeof schema === 'string' ? schema : JSON.stringify(schema))
  return { path, loaded: loadSchema(path) }
}

const ORDER = {
  type: 'object',
  properties: {
    product: { type: 'string', minLength: 1 },
    price: { type: 'number', minimum: 0 },
    'a/b~c': { enum: [1, 2] },
    at: { type: 'string', format: 'date-time' },
  },
  required: ['product', 'price'],
  additionalProperties: false,
}

test.each([
  [{ product: 'a', price: 1 }, []],
  [{ product: 'a' }, [{ path: '/price', message: 'is required' }]],
  [7, [{ path: '', message: 'must be object' }]],
  [
    { product: '', price: -1 },
    [
      { path: '/product', message: 'must NOT have fewer than 1 characters' },
      { path: '/price', message: 'must be >= 0' },
    ],
  ],
  [{ product: 'a', price: 1, colour: 'red' }, [{ path: '/colour', message: 'is not allowed' }]],
  [{ product: 'a', price: 1, 'a/b~c': 3 }, [{ path: '/a~1b~0c', message: 'must be one of [1,2]' }]],
  [{ product: 'a', price: 1, at: 'today' }, [{ path: '/at', message: 'must match format "date-time"' }]],
])('%j', async (body, errors) => {
  const { check } = await (await schemaOf(ORDER)).loaded
  expect(check(body)).toEqual(errors)
})

test('a draft-07 schema is read as one', async () => {
  const { loaded } = await schemaOf({
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'array',
    items: [{ type: 'number' }],
  })
  expect((await loaded).check(['x'])).toEqual([{ path: '/0', message: 'must be number' }])
})

test('not more errors than a person reads', async () => {
  const { loaded } = await schemaOf({ items: { type: 'number' } })
  expect((await loaded).check(Array(1000).fill('x')).length).toBe(20)
})

test('without a schema all is allowed', async () => {
  expect((await loadSchema(undefined)).check(null)).toEqual([])
})

test.each([
  ['no JSON', '{'],
  ['no schema', { type: 'nothing' }],
])('a file that is %s is refused in one line', async (_, content) => {
  const { path, loaded } = await schemaOf(content)
  const error = await loaded.catch((error: Error) => error)
  expect(error).toMatchObject({ name: 'ConfigError' })
  expect((error as Error).message).toMatch(
    new RegExp(`^MESSAGE_SCHEMA=${JSON.stringify(path)}: a file with a JSON Schema is allowed: .+$`),
  )
})

test('a file that is not there is refused', async () => {
  await expect(loadSchema('/nowhere.json')).rejects.toThrow(/^MESSAGE_SCHEMA="\/nowhere.json": .*ENOENT/)
})
