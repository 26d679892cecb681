import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Redis } from 'ioredis'
import { answer, plainError } from './connection.ts'

const require = createRequire(import.meta.url)

type Argument = string | number | Buffer
type Call = (command: string, ...args: Argument[]) => Promise<unknown>

/**
 * A Lua script of this package. `R` is the shape of its reply, as its header in `lua/` names it.
 * Rejects with `RedisError` or `ConnectionLost`.
 */
export class Script<R> {
  private readonly source: string
  private readonly sha: string

  constructor(name: string) {
    this.source = readFileSync(require.resolve(`#lua/${name}.lua`), 'utf8')
    this.sha = createHash('sha1').update(this.source).digest('hex')
  }

  run(redis: Redis, keys: string[], args: Argument[]): Promise<R> {
    return this.send((...words) => redis.call(...words), keys, args)
  }

  /** As `run`, with strings as Buffers. */
  runBuffer(redis: Redis, keys: string[], args: Argument[]): Promise<R> {
    return this.send((...words) => redis.callBuffer(...words), keys, args)
  }

  private async send(call: Call, keys: string[], args: Argument[]): Promise<R> {
    try {
      return (await call('EVALSHA', this.sha, keys.length, ...keys, ...args)) as R
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw plainError(error)
    }
    return answer(call('EVAL', this.source, keys.length, ...keys, ...args) as Promise<R>)
  }
}
