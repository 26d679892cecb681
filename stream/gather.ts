import { defer, mergeMap, type OperatorFunction, tap } from 'rxjs'
import { emit } from './emit.ts'

/**
 * Works on what comes in batches, by default one at a time: what arrives while one is under way goes into the next.
 * Emits what each batch came to; errors as `work` rejects.
 *
 * @param take how many of those that wait go into the next batch, one at least; may put them in another order
 * @param concurrency batches under way at the same time, at most
 */
export function gather<T, R>(
  take: (waiting: T[]) => number,
  work: (batch: T[]) => Promise<R>,
  concurrency = 1,
): OperatorFunction<T[], R> {
  return source =>
    defer(() => {
      let waiting: T[] = []
      async function* workAll(): AsyncGenerator<R> {
        while (waiting.length > 0) {
          const all = waiting
          const count = take(all)
          waiting = count < all.length ? all.slice(count) : []
          yield await work(count < all.length ? all.slice(0, count) : all)
        }
      }
      return source.pipe(
        tap(more => {
          waiting = waiting.length > 0 ? waiting.concat(more) : more
        }),
        mergeMap(() => emit(workAll), concurrency),
      )
    })
}
