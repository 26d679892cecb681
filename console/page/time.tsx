import { exact, relative } from './format.ts'
import { redisNow } from './live.ts'

/** A time, relative; the exact one on hover. `at`: Unix ms by Redis' clock. */
export function Time({ at }: { readonly at: number }) {
  return (
    <time dateTime={isoOf(at)} title={exact(at)}>
      {relative(at, redisNow())}
    </time>
  )
}

function isoOf(at: number): string | undefined {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
