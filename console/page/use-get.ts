import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { get, type Refused } from './api.ts'

export interface Got<T> {
  /** What came last; kept while it is asked for anew, dropped when something else is asked for. */
  readonly data: T | null
  readonly error: Refused | null
  readonly loading: boolean
  reload(): void
}

const NOTHING = { data: null, error: null }

/**
 * Reads from the service, again when the path changes and, while the page is shown, every so many ms.
 *
 * @param path below /api; null asks for nothing
 * @param every ms between the end of one request and the next; undefined: once
 */
export function useGet<T>(path: string | null, every?: number): Got<T> {
  const [state, set] = useState<{
    path: string | null
    data: T | null
    error: Refused | null
    loading: boolean
  }>({ ...NOTHING, path, loading: path !== null })
  const [asked, ask] = useState(0)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)

  useEffect(() => {
    if (path === null) return
    const abort = new AbortController()
    const load = async () => {
      if (!document.hidden) {
        set(state =>
          state.path === path ? { ...state, loading: true } : { ...NOTHING, path, loading: true },
        )
        try {
          const data = await get<T>(path, abort.signal)
          if (!abort.signal.aborted) set({ path, data, error: null, loading: false })
        } catch (error) {
          if (abort.signal.aborted) return
          set(state => ({ ...state, path, error: error as Refused, loading: false }))
        }
      }
      if (every !== undefined && !abort.signal.aborted) timer.current = setTimeout(load, every)
    }
    void load()
    return () => {
      abort.abort()
      clearTimeout(timer.current)
    }
  }, [path, every, asked])

  const reload = useCallback(() => ask(times => times + 1), [])
  const current = state.path === path
  return {
    data: current ? state.data : null,
    error: current ? state.error : null,
    loading: path !== null && (!current || state.loading),
    reload,
  }
}
