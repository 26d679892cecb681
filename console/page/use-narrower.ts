import { useEffect, useState } from 'preact/hooks'

/** Whether the page is narrower than so many px. */
export function useNarrower(width: number): boolean {
  const [narrower, set] = useState(() => innerWidth < width)
  useEffect(() => {
    const query = matchMedia(`(width < ${width}px)`)
    const changed = () => set(query.matches)
    changed()
    query.addEventListener('change', changed)
    return () => query.removeEventListener('change', changed)
  }, [width])
  return narrower
}
