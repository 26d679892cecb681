/**
 * How long a consumer has had nothing to do: nothing was in its hands, and it was free to take something. It hears of
 * that only when it begins or ends, a batch at a time, so that it costs the same however many messages there are.
 */
export class IdleTime {
  private since: number | undefined
  private over = false

  /**
   * @param total seconds to begin with: those of earlier sessions, so that the count only grows
   * @param now ms
   */
  constructor(
    private total = 0,
    private readonly now = () => performance.now(),
  ) {}

  /** There is nothing to do from now on. */
  start(): void {
    if (!this.over) this.since ??= this.now()
  }

  /** There is something to do, or something keeps it from being taken. */
  stop(): void {
    this.total = this.seconds
    this.since = undefined
  }

  /** Nothing that comes later counts. */
  end(): void {
    this.stop()
    this.over = true
  }

  /** What has been counted, up to now. */
  get seconds(): number {
    return this.since === undefined ? this.total : this.total + (this.now() - this.since) / 1000
  }
}
