import { createLog, runService, serveHttp } from '@conveyor/service'
import { Bridge } from './bridge.ts'
import { bridgeConfig } from './config.ts'
import { healthApi } from './health.ts'

await runService(async () => {
  const config = bridgeConfig()
  const log = createLog('conveyor-rabbitmq', config.LOG_LEVEL)
  const bridge = new Bridge(config, log)
  const server = await serveHttp(healthApi(bridge), config.HEALTH_HOST, config.HEALTH_PORT, 'HEALTH_PORT')
  log.info({ health: `http://${config.HEALTH_HOST}:${server.port}` }, 'bridge started')
  return {
    log,
    drainTimeout: config.DRAIN_TIMEOUT_MS,
    run: stop => bridge.run(stop).finally(() => server.close()),
  }
})
