import type { Backlog } from '@conveyor/stream'
import type { Seen } from './watch.ts'

/** Ms after which what was last seen of Redis says nothing. */
const FRESH = 2000

/** How far consumers are behind, by the last look at the stream and by what was appended since. */
export class Room {
  /** The last look. */
  seen: Seen | undefined
  /** Last package number that is known to be given out. */
  sequence = 0
  private looked = 0
  /** Whether anything was appended since the last look. */
  private appending = false

  /** @param most packages that the slowest group may be behind */
  constructor(private readonly most: number) {}

  look(seen: Seen): void {
    const { epoch, delivered, backlog } = seen.backlog
    const sequence = delivered + backlog
    // A look is behind what was appended meanwhile. Otherwise it is right, also when it shows less than before, because
    // Redis has forgotten its last moments.
    const late = this.appending && epoch === this.backlog?.epoch
    this.sequence = late ? Math.max(this.sequence, sequence) : sequence
    this.appending = false
    this.seen = seen
    this.looked = performance.now()
  }

  /** `number` was given out. */
  appended(number: number): void {
    this.sequence = Math.max(this.sequence, number)
    this.appending = true
  }

  get backlog(): Backlog | undefined {
    return this.seen?.backlog
  }

  /** Packages that may be given out before the slowest group is too far behind; none before the first look. */
  get left(): number {
    return this.backlog ? this.backlog.delivered + this.most - this.sequence : 0
  }

  /** Packages that the slowest group has not been delivered. */
  get behind(): number {
    return this.backlog ? Math.max(0, this.sequence - this.backlog.delivered) : 0
  }

  /** Whether Redis answered a moment ago. */
  get fresh(): boolean {
    return this.seen !== undefined && performance.now() - this.looked < FRESH
  }
}
