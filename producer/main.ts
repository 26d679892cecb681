import { createLog, runService, serveHttp } from '@conveyor/service'
import { producerApi } from './api.ts'
import { producerConfig } from './config.ts'
import { formatMix } from './mix.ts'
import { Producer } from './producer.ts'

await runService(async () => {
  const config = producerConfig()
  const log = createLog('conveyor-producer', config.LOG_LEVEL)
  const producer = new Producer(config, log)
  const server = await serveHttp(producerApi(producer), config.HOST, config.PORT, 'PORT')
  const { HOST, RATE, MIX, SEED } = config
  const mix = MIX && { mix: formatMix(MIX), seed: SEED }
  log.info({ url: `http://${HOST}:${server.port}`, rate: RATE, ...mix }, 'producer started')
  return {
    log,
    drainTimeout: config.DRAIN_TIMEOUT_MS,
    run: stop => producer.run(stop).finally(() => server.close()),
  }
})
