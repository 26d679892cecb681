import type { UnreadableKind } from './line-kind.ts'
import type { UnreadableLine } from './report.ts'

/** Counts unreadable lines by kind and keeps the first `limit` of them. */
export class UnreadableLines {
  total = 0
  readonly kinds: Partial<Record<UnreadableKind, number>> = {}
  readonly first: UnreadableLine[] = []
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  /** @param text called only when the line is kept */
  add(file: string, line: number, kind: UnreadableKind, bytes: number, text: () => string): void {
    this.total++
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1
    if (this.first.length < this.#limit) this.first.push({ file, line, kind, text: text(), bytes })
  }
}
