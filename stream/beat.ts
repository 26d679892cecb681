import { SpanKind } from '@opentelemetry/api'
import { defer, ignoreElements, type Observable, repeat } from 'rxjs'
import type { Control } from './control.ts'
import { OutputWriter } from './output.ts'
import { OutputDamaged } from './output-file.ts'
import { Script } from './scripts.ts'
import { ATTRIBUTE, OUTPUT_SPAN } from './semconv.ts'
import { type Session, tidy } from './session.ts'
import { type Kind, record, spansOf } from './tracing.ts'

type Hash = string[] // name, value, name, value, …
const script = new Script<
  [sessions: Hash, beats: Hash, owners: [name: string, pending: string][], told: '' | Control]
>('beat')
const takeScript = new Script<[claimed: string[], lost: number, ended: number]>('take')

/** After 2^6 times the silence of death (about a minute by default) an entry is claimed however often it was delivered. */
const MOST_DOUBLINGS = 6

/** Token of a session that has ended. */
const ENDED = '-'

/**
 * Beats, does what people tell it to, and looks after peers: takes over the entries of those that have fallen silent, closed or
 * vanished, writes what is left in their output logs, and removes them.
 *
 * No clock is involved. A peer is dead when its counter stood still over `deathBeats` of this consumer's
 * own answered beats, so a stalled Redis or a paused observer kills nobody. An entry that was delivered k
 * times is claimed after 2^(k-1) times as many, so that a handler which blocks the event loop for longer
 * than death takes gets, in the end, the time that it needs.
 *
 * Never emits; errors with `RedisError` (FENCED) or `ConnectionLost`.
 */
export function beat(session: Session): Observable<never> {
  const watch = new Watch(session)
  return defer(() => watch.beat()).pipe(
    repeat({ delay: session.options.settings.beatInterval }),
    ignoreElements(),
  )
}

class Watch {
  /** Peer and token -> its counter, and over how many of my beats it has stood there. */
  private seen = new Map<string, { counter: string; silent: number }>()
  /** Beats in a row after which more was pending for me than I hold. */
  private astray = 0
  /** Peers whose output is being written, or cannot be. */
  private readonly flushing = new Set<string>()

  private readonly claimSpan: Kind

  constructor(private readonly session: Session) {
    const { keys, url, consumer } = session.options
    this.claimSpan = spansOf(keys, 'claim', url, consumer)
  }

  async beat(): Promise<void> {
    const { keys, consumer } = this.session.options
    const [sessions, beats, owners, told] = await script.run(
      this.session.redis,
      [keys.stream, keys.sessions, keys.beats, keys.control, keys.vitals],
      [keys.group, consumer, this.session.token, this.session.vitals.take()],
    )
    this.session.tell(told === '' ? undefined : told)
    const pending = new Map(owners.map(([name, count]) => [name, Number(count)]))
    this.checkOwn(pending.get(consumer) ?? 0)

    const tokens = toMap(sessions)
    const counters = toMap(beats)
    const seen = new Map<string, { counter: string; silent: number }>()
    for (const peer of new Set([...tokens.keys(), ...pending.keys()])) {
      if (peer === consumer) continue
      const token = tokens.get(peer) ?? ''
      const counter = counters.get(peer) ?? '0'
      const before = this.seen.get(`${peer} ${token}`)
      const silent = before?.counter === counter ? before.silent + 1 : 0
      seen.set(`${peer} ${token}`, { counter, silent })
      await this.lookAfter(peer, token, counter, silent, pending.get(peer) ?? 0)
    }
    this.seen = seen
  }

  /**
   * Entries may be pending for me that I never received: a reply was lost, a ghost of my reader was
   * served, or Redis forgot a commit. One beat may see a read in flight; two see a stray.
   */
  private checkOwn(pending: number): void {
    this.astray = pending > this.session.held.size ? this.astray + 1 : 0
    if (this.astray < 2) return
    this.astray = 0
    this.session.recover()
  }

  private async lookAfter(peer: string, token: string, counter: string, silent: number, pending: number) {
    const ended = token === ENDED
    const { deathBeats } = this.session.options.settings
    if (!ended && silent < deathBeats) return
    if (pending > 0 || !ended) {
      // After deathBeats * 2^n silent beats, those delivered up to n + 1 times.
      const doublings = Math.floor(Math.log2(silent / deathBeats))
      const deliveries = ended || doublings >= MOST_DOUBLINGS ? Number.MAX_SAFE_INTEGER : 1 + doublings
      await this.take(peer, token, counter, deliveries)
    } else if (!this.flushing.has(peer)) {
      this.flushing.add(peer)
      void this.finish(peer)
    }
  }

  private async take(peer: string, token: string, counter: string, deliveries: number): Promise<void> {
    const { session } = this
    const { keys, consumer, events, settings } = session.options
    if (session.stopping) return
    const started = performance.now()
    const [claimed, lost, ended] = await takeScript.run(
      session.redis,
      [keys.stream, keys.sessions, keys.beats, keys.dead, keys.counts, keys.history],
      [
        keys.group,
        consumer,
        session.token,
        peer,
        token,
        counter,
        deliveries,
        session.held.room,
        settings.history === 'off' ? 0 : settings.historyTtl,
      ],
    )
    const count = claimed.length
    if (count === 0 && lost === 0 && !ended) return
    const { name, attributes: common } = this.claimSpan
    const attributes = {
      ...common,
      [ATTRIBUTE.batch]: count,
      [ATTRIBUTE.claimedFrom]: peer,
      ...(lost > 0 && { [ATTRIBUTE.lost]: lost }),
    }
    const span = record({ name, attributes, started }, () =>
      events.next({ type: 'claimed', from: peer, count, lost, ended: ended === 1 }),
    )
    session.spans.claim(claimed, peer, span)
    if (count > 0) session.recover()
  }

  /** Writes what an ended peer left in its output log, and removes the peer. */
  private async finish(peer: string): Promise<void> {
    const { run, logs, options } = this.session
    const { keys, events } = options
    try {
      if (run) {
        const started = performance.now()
        let all = 0
        const writer = new OutputWriter(logs, keys, run, peer)
        try {
          await writer.flush((bytes, to, ms) => {
            all += bytes
            events.next({ type: 'flushed', consumer: peer, bytes, to, ms })
          })
        } finally {
          await writer.close()
          const attributes = { [ATTRIBUTE.client]: peer, [ATTRIBUTE.bytes]: all }
          if (all > 0) record({ name: OUTPUT_SPAN.flush, kind: SpanKind.INTERNAL, attributes, started })
        }
      }
      await tidy(this.session.redis, keys, peer)
      this.flushing.delete(peer)
    } catch (error) {
      // A damaged file is for people to mend; it must not stop those whose files are well. Others are tried again.
      if (error instanceof OutputDamaged) events.next({ type: 'outputDamaged', consumer: peer, error })
      else this.flushing.delete(peer)
    }
  }
}

function toMap(hash: Hash): Map<string, string> {
  const map = new Map<string, string>()
  for (let i = 0; i < hash.length; i += 2) map.set(hash[i] as string, hash[i + 1] as string)
  return map
}
