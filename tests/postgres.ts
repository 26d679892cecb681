import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { PostgresServer } from '@conveyor/chaos'
import { afterAll, beforeAll, onTestFinished } from 'vitest'

/** One server for all tests of a file. */
export function usePostgres(): { readonly server: PostgresServer } {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.stop())
  return {
    get server() {
      return server
    },
  }
}

/** A wire to a server that loses answers. */
export interface PostgresWire {
  readonly url: string
  /** Lets the server answer the next statement whose text has `part`, loses what it says, and cuts the connection. */
  loseAnswerTo(part: string): Promise<void>
}

/** Starts a wire, for as long as the test lasts. */
export async function wireTo({ port, url }: PostgresServer): Promise<PostgresWire> {
  let trap: { part: string; sprung: () => void } | undefined
  const wires = new Set<Socket>()
  const relay = createServer(near => {
    const far = connect(port, '127.0.0.1')
    let losing: (() => void) | undefined
    for (const socket of [near, far]) {
      wires.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        wires.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', data => {
      if (trap && data.includes(trap.part)) {
        losing = trap.sprung
        trap = undefined
      }
      far.write(data)
    })
    far.on('data', data => {
      if (!losing) return near.write(data)
      losing() // the server has executed it
      near.resetAndDestroy()
    })
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  onTestFinished(() => {
    relay.close()
    for (const socket of wires) socket.destroy()
  })
  return {
    url: url.replace(`:${port}/`, `:${(relay.address() as AddressInfo).port}/`),
    loseAnswerTo: part =>
      new Promise(sprung => {
        trap = { part, sprung }
      }),
  }
}
