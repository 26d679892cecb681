import { connect } from 'node:net'
import { type Check, finding, note, ok } from './check.ts'

const VARIABLE = 'OTEL_EXPORTER_OTLP_ENDPOINT'
/** Where a Collector listens by default, for gRPC. */
const DEFAULT = 'http://localhost:4317'
const PATIENCE = 1000

/** Whether something listens where telemetry is sent to. Who did not ask for telemetry need not have a Collector. */
export async function checkCollector(env: NodeJS.ProcessEnv): Promise<Check> {
  const endpoint = env[VARIABLE] || DEFAULT
  let url: URL
  try {
    url = new URL(endpoint)
  } catch {
    return finding('collector', `${VARIABLE}=${endpoint} is no URL`, `set it to one such as ${DEFAULT}`)
  }
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  if (await listens(url.hostname, port)) return ok('collector', `something listens at ${endpoint}`)
  if (!env[VARIABLE])
    return note('collector', `nothing listens at ${endpoint}; telemetry is off unless ${VARIABLE} is set`)
  return finding(
    'collector',
    `nothing listens at ${endpoint}`,
    `start the Collector there, or unset ${VARIABLE}`,
  )
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port, timeout: PATIENCE })
    const say = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => say(true))
    socket.once('error', () => say(false))
    socket.once('timeout', () => say(false))
  })
}
