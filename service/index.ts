export { type ApiOptions, serviceApi } from './api.ts'
export {
  apiSettings,
  ConfigError,
  common,
  integer,
  name,
  names,
  optionalInteger,
  type Rate,
  rate,
  readConfig,
  token,
} from './config.ts'
export { flushTelemetry } from './flush-telemetry.ts'
export { guard, isLoopback } from './guard.ts'
export { type HttpServer, serveHttp } from './http.ts'
export { decoded, jsonText, limitedTo, mediaType, parsed } from './json-body.ts'
export { createLog, type Logger } from './log.ts'
export { withoutPassword } from './password.ts'
export { type FieldError, Problem, type ProblemOptions } from './problem.ts'
export { EXIT, runService, type Service } from './run.ts'
