import { connect } from 'node:net'

/** What a server says of itself when it is asked. */
export interface RedisAnswer {
  pid: number
  /** The version of the server itself: a Valkey's own, not the Redis version it is compatible with. */
  version: string
  /** Its working directory, where its data are. */
  dir: string
  /** Whether it takes commands: it answered PING with PONG. */
  ready: boolean
  /** While it reads its data: how much of them it has read, 0 to 100. */
  loadedPercent: number | undefined
}

/**
 * Asks the Redis on a local port who it is, over a plain socket. Undefined when nothing answers like a
 * Redis within `timeoutMs`: a server that is stopped still accepts connections, so only an answer counts.
 */
export function askRedis(port: number, timeoutMs = 1_000): Promise<RedisAnswer | undefined> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const timer = setTimeout(() => socket.destroy(), timeoutMs)
    let reply = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write('PING\r\nINFO\r\nCONFIG GET dir\r\nQUIT\r\n'))
    socket.on('data', text => {
      reply += text
    })
    // 'close' follows, and an incomplete reply says the rest.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(parse(reply))
    })
  })
}

function parse(reply: string): RedisAnswer | undefined {
  const pid = /^process_id:(\d+)/m.exec(reply)?.[1]
  const version = (/^valkey_version:(\S+)/m.exec(reply) ?? /^redis_version:(\S+)/m.exec(reply))?.[1]
  const dir = /\r\ndir\r\n\$\d+\r\n(.*)\r\n\+OK\r\n$/.exec(reply)?.[1]
  if (pid === undefined || version === undefined || dir === undefined) return undefined
  const loading = /^loading_loaded_perc:([\d.]+)/m.exec(reply)?.[1]
  return {
    pid: Number(pid),
    version,
    dir,
    ready: reply.startsWith('+PONG\r\n'),
    loadedPercent: loading === undefined ? undefined : Number(loading),
  }
}
