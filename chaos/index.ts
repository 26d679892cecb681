export {
  FAILING_HANDLER,
  failAt,
  handling,
  noteSteps,
  type Step,
  sha,
} from './inject.ts'
export { contents, faultsOf, readOutput } from './output-lines.ts'
export { Pipeline, processesIn, produced, quietPort } from './pipeline.ts'
export { PostgresMissing, PostgresServer } from './postgres-server.ts'
export { type Match, type RedisProxy, startProxy } from './proxy.ts'
export { random } from './random.ts'
export { measureRecovery, quantile, type Recovery, recoveryHistogram } from './recovery.ts'
export { summary } from './report.ts'
export { root } from './root.ts'
export { chaos } from './run.ts'
export { FAULTS, KINDS, type Kind } from './schedule.ts'
export { type Exit, ServiceProcess, until } from './service-process.ts'
