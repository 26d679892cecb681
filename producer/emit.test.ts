import type { Appended } from '@conveyor/stream'
import { BehaviorSubject, type Subscription } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Control, emit } from './emit.ts'

let running: Subscription | undefined
beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  running?.unsubscribe()
  vi.useRealTimers()
})

/** Emits under a fake clock, into an append that answers after `latency` ms. */
function start(control: Control, { latency = 0, room = () => Number.POSITIVE_INFINITY } = {}) {
  const control$ = new BehaviorSubject(control)
  const requests: number[] = []
  let sequence = 0
  let inFlight = 0
  const append = async ([template]: { count: number }[]): Promise<Appended> => {
    expect(++inFlight).toBe(1)
    const count = template?.count ?? 0
    requests.push(count)
    await new Promise(resolve => setTimeout(resolve, latency))
    inFlight--
    const first = sequence + 1
    sequence += count
    return { epoch: 'e', first, count }
  }
  running = emit(control$, { append: append as never, room }).subscribe()
  return { control$, requests, sent: () => sequence }
}

describe('emit', () => {
  test('sends one package every 100 ms at 10 a second', async () => {
    const { requests } = start({ rate: 10, paused: false })
    await vi.advanceTimersByTimeAsync(1050)
    expect(requests).toEqual(Array(11).fill(1))
  })

  test('sends what is due together at a high rate', async () => {
    const { requests, sent } = start({ rate: 10_000, paused: false })
    await vi.advanceTimersByTimeAsync(1000)
    expect(requests.length).toBeLessThanOrEqual(101)
    expect(sent()).toBeGreaterThanOrEqual(9_900)
    expect(sent()).toBeLessThanOrEqual(10_001)
  })

  test('keeps up with its rate when answers are slow, with one request in flight', async () => {
    const { sent } = start({ rate: 1000, paused: false }, { latency: 95 })
    await vi.advanceTimersByTimeAsync(2000)
    expect(sent()).toBeGreaterThanOrEqual(1800)
  })

  test('goes flat out with batches of 500', async () => {
    const { requests } = start({ rate: 'max', paused: false }, { latency: 10 })
    await vi.advanceTimersByTimeAsync(105)
    expect(requests).toEqual(Array(11).fill(500))
  })

  test('pauses, resumes and changes its rate', async () => {
    const { control$, sent } = start({ rate: 100, paused: false })
    await vi.advanceTimersByTimeAsync(100)
    control$.next({ rate: 100, paused: true })
    await vi.advanceTimersByTimeAsync(1) // the request under way is answered
    const before = sent()
    await vi.advanceTimersByTimeAsync(5000)
    expect(sent()).toBe(before)
    control$.next({ rate: 1000, paused: false })
    await vi.advanceTimersByTimeAsync(100)
    expect(sent() - before).toBeGreaterThanOrEqual(90)
    expect(sent() - before).toBeLessThanOrEqual(102)
  })

  test('does not make up for a stall beyond one second', async () => {
    let stalled = true
    const { sent } = start({ rate: 100, paused: false }, { room: () => (stalled ? 0 : 1e9) })
    await vi.advanceTimersByTimeAsync(60_000)
    stalled = false
    await vi.advanceTimersByTimeAsync(50)
    expect(sent()).toBeLessThanOrEqual(120)
  })

  test('sends no more than there is room for', async () => {
    const limit = { packages: 700, sent: () => 0 }
    const { requests, sent } = start(
      { rate: 'max', paused: false },
      { latency: 1, room: () => limit.packages - limit.sent() },
    )
    limit.sent = sent
    await vi.advanceTimersByTimeAsync(200)
    expect(requests).toEqual([500, 200])
    limit.packages = 900
    await vi.advanceTimersByTimeAsync(200)
    expect(requests).toEqual([500, 200, 200])
  })
})
