import { Observable } from 'rxjs'

/**
 * Emits what a generator yields, and takes nothing more from it once nobody listens; as `from` of RxJS does, whose
 * build emulates async functions and generators, at several times the cost.
 */
export function emit<T>(generate: () => AsyncGenerator<T>): Observable<T> {
  return new Observable(subscriber => {
    const run = async () => {
      for await (const value of generate()) {
        subscriber.next(value)
        if (subscriber.closed) return
      }
      subscriber.complete()
    }
    run().catch(error => subscriber.error(error))
  })
}
