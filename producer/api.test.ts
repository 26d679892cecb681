import { createLog } from '@conveyor/service'
import { beforeEach, describe, expect, test } from 'vitest'
import { producerApi } from './api.ts'
import { producerConfig } from './config.ts'
import { Producer } from './producer.ts'

let api: ReturnType<typeof producerApi>
beforeEach(() => {
  const [config, log] = [producerConfig({}), createLog('test', 'silent')]
  api = producerApi(new Producer(config, log), config, { check: () => [] }, log)
})

const put = (body: string) => api.request('/rate', { method: 'PUT', body })

describe('the API', () => {
  test('tells that the process lives, and that it is not ready before Redis has answered', async () => {
    expect((await api.request('/healthz')).status).toBe(200)
    expect((await api.request('/readyz')).status).toBe(503)
  })

  test('shows its status', async () => {
    expect(await (await api.request('/status')).json()).toMatchObject({
      epoch: null,
      sequence: 0,
      backlog: 0,
      rate: 10,
      paused: false,
      finished: false,
      trims: { operations: 0, removed: 0 },
    })
  })

  test('pauses and resumes', async () => {
    expect(await (await api.request('/pause', { method: 'POST' })).json()).toMatchObject({ paused: true })
    expect(await (await api.request('/resume', { method: 'POST' })).json()).toMatchObject({ paused: false })
  })

  test('changes the rate', async () => {
    expect(await (await put('{"rate":250}')).json()).toMatchObject({ rate: 250 })
    expect(await (await put('{"rate":"max"}')).json()).toMatchObject({ rate: 'max' })
    expect(await (await put('{"rate":0}')).json()).toMatchObject({ rate: 0 })
  })

  test.each(['', 'no json', '[]', '{}', '{"rate":-1}', '{"rate":"fast"}', '{"rate":null}'])(
    'refuses %o with what is allowed, and keeps the rate',
    async body => {
      const response = await put(body)
      expect(response.status).toBe(400)
      expect(await response.json()).toEqual({
        status: 400,
        detail: expect.stringMatching(/^a JSON object \{"rate": …\}: /),
      })
      expect(await (await api.request('/status')).json()).toMatchObject({ rate: 10 })
    },
  )
})
