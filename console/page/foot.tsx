import { about } from './api.ts'
import { plural, sentence } from './format.ts'
import { GOES } from './keys.tsx'
import { live } from './live.ts'
import { NAMES } from './names.ts'
import { useStore } from './store.ts'

/** The version, who else looks, and the keys. */
export function Foot() {
  const known = useStore(about)
  const { snapshot } = useStore(live)
  if (!known) return null
  return (
    <footer>
      <span>
        Conveyor {known.version}
        {snapshot && `, ${plural(snapshot.viewers, 'page')} looking`}
        {known.changes === 'refused' &&
          `. Read-only: ${sentence(known.why ?? 'nothing can be changed here')}`}
      </span>
      <span class="keys">
        <kbd>/</kbd> find{', '}
        <kbd>g</kbd> and{' '}
        {Object.entries(GOES).map(([key, page]) => (
          <span key={key}>
            <kbd>{key}</kbd> {NAMES[page].toLowerCase()}{' '}
          </span>
        ))}
      </span>
    </footer>
  )
}
