import { useEffect, useState } from 'preact/hooks'
import type { About } from '../contract.ts'
import { about, get, type Refused } from './api.ts'
import { AuditPageView } from './audit.tsx'
import { Boundary } from './boundary.tsx'
import { ConsumersPage } from './consumers.tsx'
import { DeadPage } from './dead.tsx'
import { Foot } from './foot.tsx'
import { Header, StaleBar } from './header.tsx'
import { DoctorPanel, TrimPanel } from './health.tsx'
import { Icon } from './icons.tsx'
import { Jobs } from './jobs.tsx'
import { useShortcuts } from './keys.tsx'
import { LetterPageView } from './letter.tsx'
import { live } from './live.ts'
import { MessagePage } from './message.tsx'
import { NAMES } from './names.ts'
import { Empty, Failed, Loading } from './notice.tsx'
import { Overview } from './overview.tsx'
import { PendingPageView } from './pending.tsx'
import { parseRoute, type Route } from './route.ts'
import { SearchPage } from './search.tsx'
import { freshness } from './stale.ts'
import { Store, useStore } from './store.ts'
import { Time } from './time.tsx'
import { Toasts } from './toasts.tsx'
import { TokenDialog } from './token-dialog.tsx'
import { VerdictLine } from './verdict.tsx'
import { titleOf } from './verdict-view.ts'

/** The page: a head, and what the address asks for. */
export function App() {
  const route = useRoute()
  const now = useClock()
  const { snapshot, heard, link } = useStore(live)
  const fresh = freshness(heard, link, now)
  useAbout(heard !== null)
  useShortcuts()
  useEffect(() => {
    document.title = titleOf(snapshot?.verdict, fresh.fresh, NAMES[route.page])
  }, [snapshot?.verdict.state, fresh.fresh, route.page])
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <Header route={route} freshness={fresh} />
      <main id="main" tabIndex={-1}>
        {route.page !== 'overview' && <h1 class="hidden">{NAMES[route.page]}</h1>}
        <StaleBar freshness={fresh} />
        {snapshot && route.page !== 'overview' && (
          <VerdictLine verdict={snapshot.verdict} fresh={fresh.fresh} />
        )}
        {snapshot && <Jobs jobs={snapshot.jobs} />}
        <Boundary key={`${route.page} ${route.id}`}>
          <Content route={route} fresh={fresh.fresh} />
        </Boundary>
      </main>
      <Foot />
      <Toasts />
      <TokenDialog />
    </>
  )
}

function Content({ route, fresh }: { readonly route: Route; readonly fresh: boolean }) {
  const { snapshot, series, last } = useStore(live)
  const known = useStore(about)
  const error = useStore(aboutError)
  if (route.page === 'message') return <MessagePage route={route} />
  if (route.page === 'dead')
    return route.id === '' ? <DeadPage route={route} /> : <LetterPageView route={route} />
  if (route.page === 'pending') return <PendingPageView route={route} />
  if (route.page === 'search') return <SearchPage route={route} />
  if (route.page === 'audit') return <AuditPageView />
  if (!snapshot || !known) {
    return error ? <Failed error={error} /> : <Loading what="the state of the stream" />
  }
  const seen = last?.seen ?? null
  if (route.page === 'health') {
    return (
      <>
        {seen && <TrimPanel trim={seen.trim} length={seen.length} />}
        <DoctorPanel />
      </>
    )
  }
  return (
    <>
      <Absent status={snapshot.status} about={known} since={last?.at} />
      {route.page === 'overview' ? (
        <Overview about={known} snapshot={snapshot} seen={seen} series={series} fresh={fresh} />
      ) : (
        seen && <ConsumersPage seen={seen} />
      )}
    </>
  )
}

/** Why there is nothing to be seen, and what to do. */
function Absent(props: {
  readonly status: string
  readonly about: About
  readonly since: number | undefined
}) {
  const { status, about, since } = props
  if (status === 'unreachable') {
    return (
      <p class="stale">
        <Icon name="warning" /> <b>Redis at {about.redis} does not answer.</b>{' '}
        {since !== undefined && (
          <>
            What is shown was seen <Time at={since} />.{' '}
          </>
        )}
        This page goes on by itself when it answers; <code>conveyor doctor</code> says more.
      </p>
    )
  }
  if (status === 'no-stream') {
    return (
      <Empty title={`There is no stream ${about.stream} yet`}>
        A producer begins it: <code>npm start</code> runs a whole pipeline.
      </Empty>
    )
  }
  if (status === 'no-group') {
    return (
      <Empty title={`There is no group ${about.group}`}>
        The first consumer creates it; if it was there before, it was destroyed, and{' '}
        <code>conveyor doctor</code> says how to mend that.
      </Empty>
    )
  }
  return null
}

/** Why it is not known what the console is. */
const aboutError = new Store<Refused | null>(null)

function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const changed = () => {
      setHash(location.hash)
      if (!location.hash.includes('?')) scrollTo(0, 0)
    }
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return parseRoute(hash)
}

/** Now, once a second: what is relative grows old while nothing comes. */
function useClock(): number {
  const [now, set] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return Math.max(now, live.value.heard ?? 0)
}

/** Asks what the console is, again whenever it comes back: it may be another one then. */
function useAbout(heard: boolean): void {
  const { link } = useStore(live)
  useEffect(() => {
    const abort = new AbortController()
    get<About>('about', abort.signal).then(
      answer => {
        about.set(answer)
        aboutError.set(null)
      },
      (error: Refused) => {
        if (!abort.signal.aborted) aboutError.set(error)
      },
    )
    return () => abort.abort()
  }, [heard, link])
}
