import { createLog, runService, serveHttp } from '@conveyor/service'
import { consumerConfig } from './config.ts'
import { Consumer } from './consumer.ts'
import { loadHandler } from './handler.ts'
import { healthApi } from './health.ts'

await runService(async () => {
  const config = consumerConfig()
  const log = createLog('conveyor-consumer', config.LOG_LEVEL, { consumer: config.CONSUMER_ID })
  const consumer = new Consumer(
    config,
    await loadHandler(config.HANDLER, config.FORWARD_TO !== undefined),
    log,
  )
  const server = await serveHttp(healthApi(consumer), config.HEALTH_HOST, config.HEALTH_PORT, 'HEALTH_PORT')
  log.info({ health: `http://${config.HEALTH_HOST}:${server.port}` }, 'consumer started')
  return {
    log,
    drainTimeout: config.DRAIN_TIMEOUT_MS,
    run: stop => consumer.run(stop).finally(() => server.close()),
  }
})
