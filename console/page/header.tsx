import { useEffect, useRef, useState } from 'preact/hooks'
import type { Seen } from '../contract.ts'
import { about } from './api.ts'
import { clock, count, exact, relative } from './format.ts'
import { Icon } from './icons.tsx'
import { GOES } from './keys.tsx'
import { live } from './live.ts'
import { NAMES } from './names.ts'
import { hrefOf, type Page, type Route } from './route.ts'
import { whereTo } from './search-query.ts'
import type { Freshness } from './stale.ts'
import { useStore } from './store.ts'
import { ThemeSwitch } from './theme.tsx'
import { AccessMark } from './token-dialog.tsx'

const SHOWN: readonly Page[] = ['overview', 'consumers', 'pending', 'dead', 'search', 'health', 'audit']

export function Header({ route, freshness }: { readonly route: Route; readonly freshness: Freshness }) {
  const { last } = useStore(live)
  const known = useStore(about)
  const numbers = numbersOf(last?.seen)
  const tabs = useRef<HTMLElement>(null)
  // Where the tabs do not fit, the one that is shown is to be seen.
  useEffect(() => {
    tabs.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [route.page])
  return (
    <header>
      <div class="bar">
        <a class="brand" href={hrefOf('overview')}>
          <span class="logo">
            <Icon name="check" size={14} />
          </span>
          Conveyor
        </a>
        <Find />
        <span class="row push head-end">
          <Live freshness={freshness} />
          <AccessMark />
          <ThemeSwitch />
        </span>
      </div>
      <nav ref={tabs} class="tabs" aria-label="Pages">
        {SHOWN.map(page => (
          <a
            key={page}
            href={hrefOf(page)}
            aria-current={route.page === page ? 'page' : undefined}
            title={`${NAMES[page]}: g ${Object.keys(GOES).find(key => GOES[key] === page)}`}
          >
            {NAMES[page]}
            {numbers[page] !== undefined && <span class="tab-count">{count(numbers[page])}</span>}
          </a>
        ))}
        {known && (
          <span class="soft push target break">
            {known.stream} / {known.group} at {known.redis}
          </span>
        )}
      </nav>
    </header>
  )
}

function numbersOf(seen: Seen | undefined): Partial<Record<Page, number>> {
  if (!seen) return {}
  const dead = Object.values(seen.deadLetters.reasons).reduce((sum, letters) => sum + letters, 0)
  return {
    consumers: seen.consumers.filter(({ state }) => state === 'live').length,
    pending: seen.pending + seen.waiting,
    dead,
  }
}

function Find() {
  const [typed, type] = useState('')
  const go = (event: Event) => {
    event.preventDefault()
    const href = whereTo(typed)
    if (href === undefined) return
    location.hash = href
    type('')
  }
  return (
    <search class="find">
      <form onSubmit={go}>
        <Icon name="search" size={15} />
        <input
          id="find"
          type="search"
          aria-label="Find a message by package number, entry id or text"
          placeholder="Package, id or text   /"
          value={typed}
          onInput={event => type(event.currentTarget.value)}
        />
      </form>
    </search>
  )
}

function Live({ freshness: { fresh, since } }: { readonly freshness: Freshness }) {
  return (
    <span
      class={fresh ? 'live' : 'live live-stale'}
      title={since === null ? '' : `Last news ${exact(since)}`}
    >
      <i aria-hidden="true" /> {fresh ? 'live' : since === null ? 'connecting' : 'stale'}
    </span>
  )
}

/** Says since when nothing is new, and what is being done about it. */
export function StaleBar({ freshness: { fresh, since, text } }: { readonly freshness: Freshness }) {
  const never = useStore(live).snapshot === null
  if (fresh || (never && text === 'connecting')) return <div role="status" />
  return (
    <div role="status" class="stale">
      <Icon name="warning" />{' '}
      {since === null ? (
        <b>Not connected</b>
      ) : (
        <b title={exact(since)}>
          Stale since {clock(since)} ({relative(since, Date.now())})
        </b>
      )}
      : {text}.
    </div>
  )
}
