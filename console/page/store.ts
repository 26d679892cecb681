import { useLayoutEffect, useReducer } from 'preact/hooks'

/** A value that can be watched. */
export class Store<T> {
  private readonly listeners = new Set<() => void>()

  constructor(private current: T) {}

  get value(): T {
    return this.current
  }

  set(value: T): void {
    if (Object.is(value, this.current)) return
    this.current = value
    for (const listener of this.listeners) listener()
  }

  /** Returns what ends it. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
}

/** The value of a store, the component drawn anew whenever it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, draw] = useReducer((draws: number) => draws + 1, 0)
  const { value } = store
  useLayoutEffect(() => {
    const stop = store.subscribe(() => draw(undefined as never))
    if (!Object.is(store.value, value)) draw(undefined as never) // it changed between drawing and watching
    return stop
  }, [store])
  return value
}
