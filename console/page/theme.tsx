import { Icon } from './icons.tsx'
import { kept } from './storage.ts'
import { Store, useStore } from './store.ts'

const THEMES = ['light', 'dark'] as const
type Theme = (typeof THEMES)[number]

const system = matchMedia('(prefers-color-scheme: dark)')
const keptTheme = kept('local', 'theme')
/** What was chosen here, in place of what the system prefers. */
let chosen = THEMES.find(one => one === keptTheme.get()) ?? null

/** Light or dark, as chosen, else as the system prefers. */
export const theme = new Store<Theme>(current())

function current(): Theme {
  return chosen ?? (system.matches ? 'dark' : 'light')
}

function apply(): void {
  theme.set(current())
  document.documentElement.dataset.theme = theme.value
}

system.addEventListener('change', apply)
apply()

export function ThemeSwitch() {
  const now = useStore(theme)
  const other = now === 'dark' ? 'light' : 'dark'
  const turn = () => {
    chosen = other === (system.matches ? 'dark' : 'light') ? null : other // back to the system's: follow it again
    keptTheme.set(chosen)
    apply()
  }
  return (
    <button
      type="button"
      class="plain"
      onClick={turn}
      aria-label={`Switch to ${other} colours`}
      title={`Switch to ${other}`}
    >
      <Icon name={other === 'dark' ? 'moon' : 'sun'} />
    </button>
  )
}
