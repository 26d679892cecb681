import { createServer } from 'node:net'

/** `wanted` if nothing listens there on this machine, else any free port. */
export async function freePort(wanted = 0): Promise<number> {
  for (const port of [wanted, 0]) {
    const found = await new Promise<number | undefined>(done => {
      const server = createServer()
      server.once('error', () => done(undefined))
      server.listen(port, '127.0.0.1', () => {
        const address = server.address()
        server.close(() => done(typeof address === 'object' && address ? address.port : undefined))
      })
    })
    if (found !== undefined) return found
  }
  return wanted
}
