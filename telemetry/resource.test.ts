import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { serviceResource } from './resource.ts'

test('a service is named after the package of its script', () => {
  const script = fileURLToPath(new URL('../consumer/dist/main.js', import.meta.url))
  expect(serviceResource(script).attributes).toEqual({
    'service.name': 'conveyor-consumer',
    'service.version': '0.1.0',
    'service.instance.id': `${hostname()}/${process.pid}`,
  })
})

test('a script outside any package has no name', () => {
  for (const script of [undefined, '/nowhere/at/all.js'])
    expect(serviceResource(script).attributes['service.name']).toBe('unknown_service:node')
})
