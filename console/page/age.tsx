import { duration, exact, timeOfId } from './format.ts'

/** An age of so many ms; on hover, when that was. */
export function Age({ entry, ms }: { /** Its id tells. */ readonly entry: string; readonly ms: number }) {
  const at = timeOfId(entry)
  return <span title={at === undefined ? entry : exact(at)}>{duration(ms)}</span>
}
