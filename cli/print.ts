import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** Writes, and waits until there is room for more, or nobody reads any longer. */
export async function print(out: Writable, text: string): Promise<void> {
  if (!out.write(text) && !out.destroyed) await once(out, 'drain').catch(() => {})
}
