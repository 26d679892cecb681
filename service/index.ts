export {
  ConfigError,
  common,
  integer,
  name,
  names,
  optionalInteger,
  type Rate,
  rate,
  readConfig,
} from './config.ts'
export { flushTelemetry } from './flush-telemetry.ts'
export { type HttpServer, serveHttp } from './http.ts'
export { createLog, type Logger } from './log.ts'
export { EXIT, runService, type Service } from './run.ts'
