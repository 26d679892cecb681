import type { Delta, Seen, Series, Snapshot } from '../contract.ts'
import { extended, merged, NO_SERIES } from './merge.ts'
import type { Link } from './stale.ts'
import { STALE_AFTER } from './stale.ts'
import { Store } from './store.ts'

export interface Live {
  readonly snapshot: Snapshot | null
  /** What Redis said last; it is kept while Redis is away. `at`: Unix ms. */
  readonly last: { readonly seen: Seen; readonly at: number } | null
  readonly series: Series
  /** When news came last, Unix ms by this machine's clock. */
  readonly heard: number | null
  readonly link: Link
}

export const live = new Store<Live>({
  snapshot: null,
  last: null,
  series: NO_SERIES,
  heard: null,
  link: 'connecting',
})

/** Unix ms by Redis' clock, as far as the last snapshot tells: what ages are to be reckoned from. */
export function redisNow({ snapshot, heard } = live.value): number {
  return snapshot && heard !== null ? snapshot.at + (Date.now() - heard) : Date.now()
}

function lastOf(snapshot: Snapshot | null): Live['last'] {
  if (snapshot?.seen) return { seen: snapshot.seen, at: snapshot.at }
  return snapshot?.status === 'unreachable' ? live.value.last : null
}

/** Ms until another attempt to connect, once the browser itself has given up. */
const AGAIN = 2000

/** The tab's one connection. It is closed while the page is hidden, so that nothing queues up. */
export class Connection {
  private source: EventSource | undefined
  private again: ReturnType<typeof setTimeout> | undefined
  private readonly watch = setInterval(() => this.check(), 1000)
  private opened = 0

  start(): void {
    document.addEventListener('visibilitychange', () => (document.hidden ? this.close() : this.open()))
    if (!document.hidden) this.open()
  }

  stop(): void {
    clearInterval(this.watch)
    this.close()
  }

  private open(): void {
    this.close()
    this.opened = Date.now()
    const source = new EventSource('/api/events')
    this.source = source
    source.addEventListener('snapshot', event => this.snapshot(JSON.parse(event.data) as Snapshot))
    source.addEventListener('delta', event => this.delta(JSON.parse(event.data) as Delta))
    source.addEventListener('series', event =>
      live.set({ ...live.value, series: JSON.parse(event.data) as Series }),
    )
    source.addEventListener('error', () => void this.failed(source))
  }

  private close(): void {
    clearTimeout(this.again)
    this.source?.close()
    this.source = undefined
  }

  private snapshot(snapshot: Snapshot): void {
    const series = extended(live.value.series, snapshot)
    live.set({ snapshot, last: lastOf(snapshot), series, heard: Date.now(), link: 'live' })
  }

  private delta(delta: Delta): void {
    const snapshot = merged(live.value.snapshot, delta)
    live.set({ ...live.value, snapshot, last: lastOf(snapshot), heard: Date.now(), link: 'live' })
  }

  /** The browser connects again after a cut, but not after a refusal; which it was, it does not tell. */
  private async failed(source: EventSource): Promise<void> {
    const answers = await fetch('/api/about').then(
      ({ ok }) => ok,
      () => false,
    )
    if (this.source !== source || source.readyState === EventSource.OPEN) return
    live.set({ ...live.value, link: answers && source.readyState === EventSource.CLOSED ? 'full' : 'away' })
    if (source.readyState !== EventSource.CLOSED) return
    clearTimeout(this.again)
    this.again = setTimeout(() => this.open(), AGAIN)
  }

  /** A connection may be half dead: neither news nor an error. */
  private check(): void {
    const heard = Math.max(live.value.heard ?? 0, this.opened)
    if (this.source?.readyState === EventSource.OPEN && Date.now() - heard > 3 * STALE_AFTER) this.open()
  }
}
