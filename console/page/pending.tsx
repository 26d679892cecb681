import type { PendingEntry, PendingPage, WaitingMessage } from '../contract.ts'
import { ActionButton, useCommand } from './action.tsx'
import { Age } from './age.tsx'
import { count, duration, exact, plural } from './format.ts'
import { Empty, Loaded } from './notice.tsx'
import { queryOf } from './query.ts'
import { hrefOf, type Route } from './route.ts'
import { type Column, Table } from './table.tsx'
import { useGet } from './use-get.ts'

/** Ms between two looks. */
const EVERY = 2000

const PENDING: readonly Column<PendingEntry>[] = [
  { head: 'Package', kind: 'number', cell: ({ package: number }) => <PackageLink number={number} /> },
  {
    head: 'Age',
    kind: 'number',
    title: 'Since it was appended',
    cell: ({ entry, age }) => <Age entry={entry} ms={age} />,
  },
  {
    head: 'Held for',
    kind: 'number',
    title: 'Since it was delivered last',
    cell: ({ idle }) => duration(idle),
  },
  {
    head: 'Delivered',
    kind: 'number',
    cell: ({ deliveries }) => <span class={deliveries > 1 ? 'warn' : ''}>{plural(deliveries, 'time')}</span>,
  },
  {
    head: 'Consumer',
    cell: ({ consumer }) => (
      <a class="break" href={hrefOf('pending', '', { consumer })}>
        {consumer}
      </a>
    ),
  },
  { head: 'Entry', kind: 'id', cell: ({ entry }) => <code class="nowrap">{entry}</code> },
  {
    head: 'Last error',
    kind: 'wide',
    cell: ({ lastError }) => <span class="break">{lastError ?? '–'}</span>,
  },
]

export function PendingPageView({ route }: { readonly route: Route }) {
  const consumer = route.query.get('consumer') ?? ''
  const got = useGet<PendingPage>(`pending${queryOf({ limit: 200, consumer })}`, EVERY)
  return (
    <>
      {consumer !== '' && (
        <p class="filter-line">
          Only those of consumer <b class="break">{consumer}</b>. <a href={hrefOf('pending')}>Show all</a>
        </p>
      )}
      <Loaded got={got} what="what is pending">
        {page => (
          <>
            <Waiting page={page} retried={got.reload} />
            <section class="panel" aria-labelledby="pending">
              <div class="panel-head">
                <h2 id="pending">Delivered and not settled</h2>
                <p class="soft">
                  {page.pending.length < page.totalPending
                    ? `the oldest ${count(page.pending.length)} of ${count(page.totalPending)}`
                    : plural(page.totalPending, 'entry', 'entries')}
                </p>
              </div>
              {page.pending.length === 0 ? (
                <Empty title="Nothing is pending">
                  All that was delivered is settled. What consumers hold right now appears here, oldest first.
                </Empty>
              ) : (
                <Table
                  caption="Pending entries"
                  columns={PENDING}
                  rows={page.pending}
                  keyOf={({ entry }) => entry}
                />
              )}
            </section>
          </>
        )}
      </Loaded>
    </>
  )
}

function Waiting({ page, retried }: { readonly page: PendingPage; readonly retried: () => void }) {
  const columns: readonly Column<WaitingMessage>[] = [
    { head: 'Package', kind: 'number', cell: ({ package: number }) => <PackageLink number={number} /> },
    { head: 'Next attempt', kind: 'number', cell: ({ due, dueIn }) => <Due due={due} dueIn={dueIn} /> },
    {
      head: 'Failed',
      kind: 'number',
      title: 'Attempts so far',
      cell: ({ attempt }) => plural(attempt, 'time'),
    },
    {
      head: 'Age',
      kind: 'number',
      title: 'Since it was appended',
      cell: ({ entry, age }) => <Age entry={entry} ms={age} />,
    },
    { head: 'Last with', cell: ({ consumer }) => <span class="break">{consumer ?? '–'}</span> },
    {
      head: 'Last error',
      kind: 'wide',
      cell: ({ reason, lastError }) => (
        <span class="break">{[reason, lastError].filter(Boolean).join(': ') || '–'}</span>
      ),
    },
    {
      head: 'Actions',
      kind: 'actions',
      cell: ({ package: number }) => number !== null && <RetryNow number={number} done={retried} />,
    },
  ]
  return (
    <section class="panel" aria-labelledby="waiting">
      <div class="panel-head">
        <h2 id="waiting">Waiting for another attempt</h2>
        <p class="soft">
          {page.waiting.length < page.totalWaiting
            ? `the first ${count(page.waiting.length)} of ${count(page.totalWaiting)}`
            : plural(page.totalWaiting, 'message')}
        </p>
      </div>
      {page.waiting.length === 0 ? (
        <Empty title="Nothing waits">
          A message whose handler fails waits here for its next attempt, and can be tried at once.
        </Empty>
      ) : (
        <Table
          caption="Messages that wait"
          columns={columns}
          rows={page.waiting}
          keyOf={({ entry }) => entry}
        />
      )}
    </section>
  )
}

/** Has a message that waits tried at once. */
export function RetryNow({ number, done }: { readonly number: number; readonly done: () => void }) {
  const command = useCommand({ do: 'retry', package: number })
  return (
    <ActionButton
      path="retry"
      body={{ package: number }}
      command={command}
      label={`Retry now: package ${number}`}
      done={done}
    >
      Retry now
    </ActionButton>
  )
}

export function Due({ due, dueIn }: { readonly due: number; readonly dueIn: number }) {
  return (
    <time title={exact(due)} class={dueIn < -1000 ? 'warn' : ''}>
      {dueIn > 0 ? `in ${duration(dueIn)}` : dueIn < -1000 ? `${duration(-dueIn)} late` : 'now'}
    </time>
  )
}

export function PackageLink({ number }: { readonly number: number | null }) {
  if (number === null) return <span class="soft">not known</span>
  return <a href={hrefOf('message', number)}>{count(number)}</a>
}
