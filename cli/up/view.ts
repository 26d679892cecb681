import { createLogUpdate } from 'log-update'
import { liveSummary, plainSummary, type Snapshot } from './summary.ts'

/** Where the summary goes: redrawn in place in a terminal, a line now and then elsewhere. */
export interface View {
  /** Shows what is; called several times a second. */
  show(snapshot: Snapshot): void
  /** Says something once. */
  say(text: string): void
  /** Leaves the last summary standing. */
  end(): void
}

/** Ms between two plain lines. */
const PLAIN_INTERVAL = 2000
/** Notes below the summary at most, and how long each stays, ms. */
const NOTES = 4
const NOTE_AGE = 30_000

export function createView(out: NodeJS.WriteStream): View {
  return out.isTTY ? new LiveView(out) : new PlainView(out)
}

class LiveView implements View {
  private readonly draw
  private notes: { text: string; at: number }[] = []
  private drawn = false

  constructor(private readonly out: NodeJS.WriteStream) {
    this.draw = createLogUpdate(out)
  }

  show(snapshot: Snapshot): void {
    this.drawn = true
    this.notes = this.notes.filter(({ at }) => performance.now() - at < NOTE_AGE)
    this.draw(liveSummary({ ...snapshot, notes: this.notes.map(({ text }) => text) }, this.out.columns))
  }

  /** Below the summary for a while; before the first one, like everything else that a command prints. */
  say(text: string): void {
    if (!this.drawn) this.out.write(`${text}\n`)
    else this.notes = [...this.notes, { text, at: performance.now() }].slice(-NOTES)
  }

  end(): void {
    this.draw.done()
    this.drawn = false
  }
}

class PlainView implements View {
  private printed = Number.NEGATIVE_INFINITY
  private last = ''

  constructor(private readonly out: NodeJS.WriteStream) {}

  show(snapshot: Snapshot): void {
    if (performance.now() - this.printed < PLAIN_INTERVAL) return
    this.printed = performance.now()
    this.last = plainSummary(snapshot)
    this.out.write(`${this.last}\n`)
  }

  say(text: string): void {
    this.out.write(`${text}\n`)
  }

  end(): void {
    this.printed = Number.NEGATIVE_INFINITY
  }
}
