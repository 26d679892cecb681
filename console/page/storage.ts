/** What the browser keeps; nothing, where it is told to keep nothing: it throws then. */
export interface Kept {
  get(): string | null
  /** null forgets. */
  set(value: string | null): void
}

/** A value of the tab (`session`) or of the browser (`local`). */
export function kept(where: 'session' | 'local', name: string): Kept {
  const open = () => (where === 'session' ? sessionStorage : localStorage)
  return {
    get: () => attempt(() => open().getItem(name)) ?? null,
    set: value => {
      attempt(() => (value === null ? open().removeItem(name) : open().setItem(name, value)))
    },
  }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
