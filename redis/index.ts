export { type FindOptions, findRedisServer, RedisNotFound } from './find.ts'
export type { RedisExit } from './launch.ts'
export { RedisInUse, runningRedis } from './lock.ts'
export { type RedisProcess, RedisStartFailed, type StartOptions, startRedis } from './server.ts'
