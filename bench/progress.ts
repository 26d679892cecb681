/** One line on standard error that says what is being done, when that is a terminal. */
export class Progress {
  private shown = false

  show(text: string): void {
    if (!process.stderr.isTTY) return
    process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
    this.shown = true
  }

  clear(): void {
    if (this.shown) process.stderr.write('\r\x1b[K')
    this.shown = false
  }
}

/** A time that is left, for people; ms. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}
