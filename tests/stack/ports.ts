import { createServer } from 'node:net'

const taken = new Set<number>()

/**
 * A free port outside the range that the system gives to clients, so that it stays free while the program that
 * listens on it is away. None is given twice.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if (taken.has(port)) continue
    const free = await new Promise<boolean>(resolve => {
      const server = createServer().once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (!free) continue
    taken.add(port)
    return port
  }
}
