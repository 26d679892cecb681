import { Icon } from './icons.tsx'
import { Store, useStore } from './store.ts'

type Theme = 'light' | 'dark'

const system = matchMedia('(prefers-color-scheme: dark)')
/** What was chosen here, in place of what the system prefers. */
let chosen = localStorage.getItem('theme') as Theme | null

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
    if (chosen) localStorage.setItem('theme', chosen)
    else localStorage.removeItem('theme')
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
