import { createServer, type Server, type Socket } from 'node:net'
import type { PGlite } from '@electric-sql/pglite'

/** Codes in place of a protocol's version: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const ASKS_FOR_ENCRYPTION = new Set([80877103, 80877104])
const CANCEL = 80877102

/** Types of messages after which a client waits for ReadyForQuery: Query, Sync, FunctionCall. */
const ENDS = new Set(['Q', 'S', 'F'].map(type => type.charCodeAt(0)))
const TERMINATE = 'X'.charCodeAt(0)

/** What a client waits for an answer to. */
interface Request {
  readonly from: Client
  readonly bytes: Buffer
}

/**
 * Serves PGlite, which is one session, to any number of clients of PostgreSQL's protocol. A request goes to it whole, from
 * Parse to Sync, and a transaction has it to itself: nothing of two clients is mixed. (That is what PGlite's own socket
 * server does not see to: https://github.com/electric-sql/pglite/issues/1046.) What a session keeps beyond a transaction
 * (named statements, SET, temporary tables) is everybody's.
 */
export class Gateway {
  private readonly waiting: Request[] = []
  private readonly clients = new Set<Client>()
  private readonly server: Server
  /** Whose transaction is open. */
  private owner: Client | undefined
  private busy = false

  constructor(private readonly db: PGlite) {
    this.server = createServer({ noDelay: true }, socket => {
      const client = new Client(socket, bytes => {
        this.waiting.push({ from: client, bytes })
        void this.work()
      })
      this.clients.add(client)
      socket.on('error', () => {}) // and then it is closed
      socket.once('close', () => {
        this.clients.delete(client)
        void this.work()
      })
    })
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject).listen(port, '127.0.0.1', resolve)
    })
  }

  close(): void {
    this.server.close()
    for (const { socket } of this.clients) socket.destroy()
  }

  private async work(): Promise<void> {
    if (this.busy) return
    this.busy = true
    try {
      for (let request = await this.next(); request; request = await this.next()) await this.answer(request)
    } finally {
      this.busy = false
    }
  }

  private async next(): Promise<Request | undefined> {
    const { owner, waiting } = this
    if (owner && !this.clients.has(owner)) {
      await this.db.exec('ROLLBACK')
      this.owner = undefined
    }
    const index = waiting.findIndex(({ from }) => !this.owner || from === this.owner)
    return index === -1 ? undefined : waiting.splice(index, 1)[0]
  }

  private async answer({ from, bytes }: Request): Promise<void> {
    if (from.socket.destroyed) return
    await this.db.runExclusive(() =>
      this.db.execProtocolRawStream(bytes, { onRawData: data => from.socket.write(data) }),
    )
    this.owner = this.db.isInTransaction() ? from : undefined
  }
}

/** One connection: puts together what belongs together. */
class Client {
  private started = false
  /** Whole messages of a request that is not complete. */
  private request: Buffer[] = []
  private rest: Buffer = Buffer.alloc(0)

  constructor(
    readonly socket: Socket,
    private readonly ask: (request: Buffer) => void,
  ) {
    socket.on('data', data => this.read(data))
  }

  private read(data: Buffer): void {
    this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, data]) : data
    for (;;) {
      const from = this.started ? 1 : 0 // the first message has no type
      if (this.rest.length < from + 4) return
      const length = from + this.rest.readInt32BE(from)
      if (this.rest.length < length) return
      const message = this.rest.subarray(0, length)
      this.rest = this.rest.subarray(length)
      if (this.started) this.take(message)
      else this.start(message)
    }
  }

  private start(message: Buffer): void {
    const code = message.readInt32BE(4)
    if (ASKS_FOR_ENCRYPTION.has(code)) this.socket.write('N')
    else if (code === CANCEL) this.socket.end()
    else {
      this.started = true
      this.ask(Buffer.from(message))
    }
  }

  private take(message: Buffer): void {
    const type = message[0] as number
    if (type === TERMINATE) {
      this.socket.end()
      return
    }
    this.request.push(message)
    if (!ENDS.has(type)) return
    this.ask(Buffer.concat(this.request))
    this.request = []
  }
}
