import { createLog, isLoopback, runService, serveHttp } from '@conveyor/service'
import { sourcesApi } from './api.ts'
import { sourceConfig } from './config.ts'
import { Sources } from './sources.ts'

await runService(async () => {
  const config = sourceConfig()
  const log = createLog('conveyor-source', config.LOG_LEVEL)
  const sources = new Sources(config, log)
  const server = await serveHttp(sourcesApi(sources, config, log), config.HOST, config.PORT, 'PORT')
  const names = config.SOURCES.map(({ name }) => name)
  log.info({ url: `http://${config.HOST}:${server.port}`, sources: names }, 'source started')
  if (!config.API_TOKEN && !isLoopback(config.HOST))
    log.warn('requests that change something are refused: set API_TOKEN to allow them')
  return {
    log,
    drainTimeout: config.DRAIN_TIMEOUT_MS,
    run: async stop => {
      try {
        await sources.run(stop)
      } finally {
        await server.close()
        await sources.close()
      }
    },
  }
})
