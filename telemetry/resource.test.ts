import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { serviceResource } from './resource.ts'

test('a service is named after the package of its script', () => {
  const script = fileURLToPath(new URL('../consumer/dist/main.js', import.meta.url))
  const { attributes } = serviceResource(script)
  expect(attributes).toMatchObject({ 'service.name': 'conveyor-consumer', 'service.version': '0.1.0' })
  expect(attributes['service.instance.id']).not.toBe(
    serviceResource(script).attributes['service.instance.id'],
  )
})

test('a script outside any package has no name', () => {
  for (const script of [undefined, '/nowhere/at/all.js'])
    expect(serviceResource(script).attributes['service.name']).toBe('unknown_service:node')
})
