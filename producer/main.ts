import { createLog, isLoopback, runService, serveHttp } from '@conveyor/service'
import { producerApi } from './api.ts'
import { producerConfig } from './config.ts'
import { formatMix } from './mix.ts'
import { Producer } from './producer.ts'
import { loadSchema } from './schema.ts'

await runService(async () => {
  const config = producerConfig()
  const log = createLog('conveyor-producer', config.LOG_LEVEL)
  const schema = await loadSchema(config.MESSAGE_SCHEMA)
  const producer = new Producer(config, log)
  const api = producerApi(producer, config, schema, log)
  const server = await serveHttp(api, config.HOST, config.PORT, 'PORT')
  const { HOST, RATE, MIX, SEED } = config
  const mix = MIX && { mix: formatMix(MIX), seed: SEED }
  log.info({ url: `http://${HOST}:${server.port}`, rate: RATE, ...mix }, 'producer started')
  if (!config.API_TOKEN && !isLoopback(HOST))
    log.warn('requests that change something are refused: set API_TOKEN to allow them')
  return {
    log,
    drainTimeout: config.DRAIN_TIMEOUT_MS,
    run: stop => producer.run(stop).finally(() => server.close()),
  }
})
