import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { get, type Refused } from './api.ts'

export interface Got<T> {
  /** What came last; kept while it is asked for anew, dropped when something else is asked for. */
  readonly data: T | null
  readonly error: Refused | null
  readonly loading: boolean
  reload(): void
}

interface State<T> extends Pick<Got<T>, 'data' | 'error' | 'loading'> {
  readonly path: string | null
}

/** Pauses are so many times as long as an answer takes, at least: what is dear is not asked for again and again. */
const SPARING = 10
/** Ms until the next question when there was no answer, or the page was hidden. */
const LATER = 3000

/**
 * Reads from the service, again when the path changes and, while the page is shown, every so many ms.
 *
 * @param path below /api; null asks for nothing
 * @param every ms between an answer and the next question; undefined: once. Or what tells that of the answer
 */
export function useGet<T>(path: string | null, every?: number | ((data: T) => number | undefined)): Got<T> {
  const [state, set] = useState<State<T>>({ path, data: null, error: null, loading: path !== null })
  const [asked, askAnew] = useState(0)
  const pace = useRef(every)
  pace.current = every

  useEffect(() => {
    if (path === null) return
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const load = async () => {
      const pause = document.hidden && pace.current !== undefined ? LATER : await ask()
      if (pause !== undefined && !abort.signal.aborted) timer = setTimeout(load, pause)
    }
    /** Returns the ms until it is to be asked for again. */
    const ask = async () => {
      const started = performance.now()
      set(state => (state.path === path ? { ...state, loading: true } : loadingOf(path)))
      try {
        const data = await get<T>(path, abort.signal)
        if (abort.signal.aborted) return undefined
        set({ path, data, error: null, loading: false })
        const pause = typeof pace.current === 'function' ? pace.current(data) : pace.current
        return pause && Math.max(pause, SPARING * (performance.now() - started))
      } catch (error) {
        if (abort.signal.aborted) return undefined
        set(state => ({ ...state, path, error: error as Refused, loading: false }))
        return pace.current && LATER
      }
    }
    void load()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [path, asked])

  const reload = useCallback(() => askAnew(times => times + 1), [])
  const current = state.path === path
  return {
    data: current ? state.data : null,
    error: current ? state.error : null,
    loading: path !== null && (!current || state.loading),
    reload,
  }
}

function loadingOf<T>(path: string): State<T> {
  return { path, data: null, error: null, loading: true }
}
