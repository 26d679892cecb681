/** Milliseconds to wait before attempt `n` (from 1) to reach Redis again: 50 to 2,000, with jitter. */
export function backoff(n: number): number {
  return Math.min(2000, 50 * 2 ** Math.min(n, 10)) * (0.5 + Math.random() / 2)
}
