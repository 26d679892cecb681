import { once } from 'node:events'
import { resolve } from 'node:path'
import { createLog, isLoopback, runService, serveHttp } from '@conveyor/service'
import { keysOf } from '@conveyor/stream'
import { consoleApi } from './api.ts'
import { consoleConfig } from './config.ts'
import { Demo } from './demo.ts'
import { Jobs } from './jobs.ts'
import { Link } from './link.ts'
import { Watch } from './watch.ts'

await runService(async () => {
  const config = consoleConfig()
  const { HOST, REDIS_URL: url, STREAM, GROUP } = config
  const log = createLog('conveyor-console', config.LOG_LEVEL)
  const keys = keysOf(STREAM, GROUP)
  const link = new Link(url, 'conveyor-console-ask', config.COMMAND_TIMEOUT_MS)
  const jobs = new Jobs(link, keys, log)
  const demo = new Demo(link)
  const watch = new Watch({
    url,
    keys,
    outputDir: resolve(config.OUTPUT_DIR),
    deathBeats: config.DEATH_BEATS,
    log,
    jobs: () => jobs.list,
    marks: () => demo.marks,
  })
  const api = consoleApi({ config, keys, link, watch, jobs, demo, log })
  const server = await serveHttp(api, HOST, config.PORT, 'PORT')
  log.info({ url: `http://${isLoopback(HOST) ? 'localhost' : HOST}:${server.port}` }, 'console started')
  if (!config.CONSOLE_TOKEN && !isLoopback(HOST))
    log.warn('the page is for reading only: set CONSOLE_TOKEN to allow changes')
  return {
    log,
    drainTimeout: config.DRAIN_TIMEOUT_MS,
    run: async stop => {
      await once(stop, 'abort')
      await server.close()
      link.close()
    },
  }
})
