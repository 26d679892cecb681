import { conveyor } from './conveyor.ts'
import { toJson } from './json.ts'
import { postgres } from './postgres.ts'
import { redis } from './redis.ts'
import { telemetry } from './telemetry.ts'

/** The dashboards, and where their JSON is. */
export const dashboards = {
  'conveyor.json': conveyor,
  'postgres.json': postgres,
  'redis.json': redis,
  'telemetry.json': telemetry,
}

/** File name -> text. */
export const generate = (): [name: string, text: string][] =>
  Object.entries(dashboards).map(([name, build]) => [name, toJson(build())])
