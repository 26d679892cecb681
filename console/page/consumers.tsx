import type { Consumer, Seen } from '../contract.ts'
import { ActionButton, useCommand } from './action.tsx'
import { Bar } from './bar.tsx'
import { bytes, count, duration, percent, perSecond, plural } from './format.ts'
import { Empty } from './notice.tsx'
import { hrefOf } from './route.ts'
import { type Column, Table } from './table.tsx'

/** What a state of a consumer means, for people. */
const MEANING: Readonly<Record<Consumer['state'], string>> = {
  live: 'Its heart beats.',
  silent: 'Its heart has stood still for a moment.',
  dead: 'Its heart stood still for so long that peers take its entries over.',
  fenced: 'Its session was ended, and it tried to settle what peers have taken over. That was refused.',
  ended: 'Its session has ended, and something of it is left: entries to take over, or output to write.',
  gone: 'It has no session any more.',
  unknown: 'It was not seen for long enough to tell.',
}

const KIND: Readonly<Record<Consumer['state'], string>> = {
  live: 'good',
  silent: 'warn',
  dead: 'bad',
  fenced: 'bad',
  ended: 'warn',
  gone: 'quiet',
  unknown: 'quiet',
}

export function StateBadge({ consumer: { state, control } }: { readonly consumer: Consumer }) {
  return (
    <>
      <span class={`badge badge-${KIND[state]}`} title={MEANING[state]}>
        {state}
      </span>
      {control && <span class="badge badge-warn">{control}</span>}
    </>
  )
}

const COLUMNS: readonly Column<Consumer>[] = [
  {
    head: 'Consumer',
    cell: ({ id, holder }) => (
      <b class="break" title={holder ? `Process ${holder}` : 'No process holds its session'}>
        {id}
      </b>
    ),
  },
  { head: 'State', cell: consumer => <StateBadge consumer={consumer} /> },
  {
    head: 'Pending',
    kind: 'number',
    title: 'Entries delivered to it and not settled',
    cell: ({ id, pending }) =>
      pending > 0 ? <a href={hrefOf('pending', '', { consumer: id })}>{count(pending)}</a> : '0',
  },
  {
    head: 'Oldest',
    kind: 'number',
    title: 'Age of its oldest pending entry, and how many times that was delivered',
    cell: ({ oldestPending, deliveries }) => (
      <>
        {duration(oldestPending)}
        {(deliveries ?? 1) > 1 && <span class="warn"> ×{deliveries}</span>}
      </>
    ),
  },
  {
    head: 'Processed',
    kind: 'number',
    title: 'Packages whose line it has committed in this run',
    cell: ({ processed }) => count(processed),
  },
  { head: 'Rate', kind: 'number', cell: ({ perSecond: rate }) => perSecond(rate) },
  { head: 'Share', cell: ({ share }) => <Share share={share} /> },
  {
    head: 'Claimed',
    kind: 'number',
    title: 'Entries that it took over from peers',
    cell: ({ claimed }) => count(claimed),
  },
  {
    head: 'Redelivered',
    kind: 'number',
    title: 'Entries that were delivered to it after an earlier delivery',
    cell: ({ redelivered }) => count(redelivered),
  },
  {
    head: 'Fenced',
    kind: 'number',
    title: 'Outcomes of its that were refused, because a peer had taken the entry over',
    cell: ({ fenced }) => <span class={fenced > 0 ? 'warn' : ''}>{count(fenced)}</span>,
  },
  {
    head: 'Last package',
    kind: 'number',
    title: 'The last package in its output file',
    cell: ({ lastPackage }) =>
      lastPackage === null ? '–' : <a href={hrefOf('message', lastPackage)}>{count(lastPackage)}</a>,
  },
  { head: 'Actions', kind: 'actions', cell: consumer => <Controls consumer={consumer} /> },
]

export function Consumers({ seen, all = false }: { readonly seen: Seen; readonly all?: boolean }) {
  const shown = all ? seen.consumers : seen.consumers.filter(({ state }) => state !== 'gone')
  const gone = seen.consumers.length - shown.length
  if (shown.length === 0) {
    return (
      <Empty title="No consumer is at work">
        Start one: <code>CONSUMER_ID=c1 node consumer/dist/main.js</code>, or <code>npm start</code> for a
        whole pipeline.
      </Empty>
    )
  }
  return (
    <>
      <Table
        caption="Consumers of the group"
        columns={COLUMNS}
        rows={shown}
        keyOf={({ id }) => id}
        classOf={({ state }) => (state === 'gone' ? 'quiet' : '')}
      />
      {gone > 0 && (
        <p class="soft below">
          <a href={hrefOf('consumers')}>{plural(gone, 'consumer')} more</a> worked in this run and left.
        </p>
      )}
    </>
  )
}

function Share({ share }: { readonly share: number }) {
  return (
    <span class="share">
      <Bar share={share} />
      {percent(share)}
    </span>
  )
}

/** Pause, resume and drain, as they apply. */
function Controls({ consumer }: { readonly consumer: Consumer }) {
  const { id, control, state } = consumer
  const pause = useCommand({ do: 'pause', consumer: id })
  const resume = useCommand({ do: 'resume', consumer: id })
  const drain = useCommand({ do: 'drain', consumer: id })
  const path = (action: string) => `consumers/${encodeURIComponent(id)}/${action}`
  if (control === null && (state === 'gone' || state === 'ended')) return null
  return (
    <span class="row">
      {control === null ? (
        <ActionButton path={path('pause')} command={pause} label={`Pause ${id}`}>
          Pause
        </ActionButton>
      ) : (
        <ActionButton path={path('resume')} command={resume} label={`Resume ${id}`}>
          Resume
        </ActionButton>
      )}
      {control !== 'draining' && (
        <ActionButton path={path('drain')} command={drain} label={`Drain ${id}: finish what it has, and end`}>
          Drain
        </ActionButton>
      )}
    </span>
  )
}

/** The page that has them all, those that left included. */
export function ConsumersPage({ seen }: { readonly seen: Seen }) {
  const { claimed, fenced, lost, retried, unflushed } = seen
  return (
    <section class="panel" aria-labelledby="consumers">
      <div class="panel-head">
        <h2 id="consumers">Consumers</h2>
        <p class="soft">
          in this run: claimed {count(claimed)}, fenced {count(fenced)}, retried {count(retried)},{' '}
          <span class={lost > 0 ? 'bad' : ''}>lost {count(lost)}</span>, {bytes(unflushed)} not yet on disk
        </p>
      </div>
      <Consumers seen={seen} all />
    </section>
  )
}
