import { useState } from 'preact/hooks'
import { commandOf } from '../commands.ts'
import type { LetterPage } from '../contract.ts'
import { about } from './api.ts'
import { type BulkChoice, BulkDialog } from './bulk-dialog.tsx'
import { count, plural } from './format.ts'
import { chosen, filterOf, inWords } from './letter-filter.ts'
import { LetterFilters } from './letter-filters.tsx'
import { LetterTable } from './letter-table.tsx'
import { Empty, Loaded } from './notice.tsx'
import { queryOf } from './query.ts'
import { Reasons } from './reasons.tsx'
import { hrefOf, type Route } from './route.ts'
import { useStore } from './store.ts'
import { useAccess, withToken } from './token-dialog.tsx'
import { useGet } from './use-get.ts'

/** Letters on a page. */
const LIMIT = 100

/** The dead letters that a filter lets through, and what can be done about them. */
export function DeadPage({ route }: { readonly route: Route }) {
  const { filter, errors } = filterOf(route.query)
  const before = route.query.get('before') ?? ''
  const got = useGet<LetterPage>(`letters${queryOf({ ...filter, limit: LIMIT, before })}`, 4000)
  const [selected, select] = useState<ReadonlySet<string>>(new Set())
  const [choice, choose] = useState<BulkChoice>()
  const words = inWords(route.query)
  const here = (got.data?.letters ?? []).filter(({ id }) => selected.has(id)).map(({ id }) => id)
  return (
    <>
      <section class="panel" aria-labelledby="dead">
        <div class="panel-head">
          <h2 id="dead">Dead letters</h2>
          {got.data && (
            <p class="soft" role="status">
              {plural(got.data.matched, 'letter')} {words ? 'match' : 'in all'}
              {!got.data.complete && ', and maybe more: only the first 100,000 were looked at'}
            </p>
          )}
        </div>
        <LetterFilters query={route.query} errors={errors} />
        <Loaded got={got} what="dead letters">
          {page =>
            page.matched === 0 ? (
              <Nothing words={words} />
            ) : (
              <>
                <Reasons reasons={page.reasons} query={route.query} />
                <Toolbar page={page} here={here} filter={filter} words={words} choose={choose} />
                <LetterTable letters={page.letters} selected={selected} select={select} query={route.query} />
                <Pages page={page} query={route.query} first={before === ''} />
              </>
            )
          }
        </Loaded>
      </section>
      {choice && (
        <BulkDialog
          choice={choice}
          close={() => choose(undefined)}
          done={() => {
            select(new Set())
            got.reload()
          }}
        />
      )}
    </>
  )
}

function Nothing({ words }: { readonly words: string }) {
  return words ? (
    <Empty title="No dead letter matches">
      {words}. <a href={hrefOf('dead')}>Show all dead letters</a>
    </Empty>
  ) : (
    <Empty title="There are no dead letters">
      A message comes here when its last attempt failed, when its handler rejected it, or when it killed every
      process that handled it. Nothing is lost here: it can be looked at, mended and replayed.
    </Empty>
  )
}

interface ToolbarProps {
  readonly page: LetterPage
  /** Ids of the selected ones that are on this page. */
  readonly here: readonly string[]
  readonly filter: BulkChoice['filter']
  readonly words: string
  readonly choose: (choice: BulkChoice) => void
}

function Toolbar({ page, here, filter, words, choose }: ToolbarProps) {
  const target = useStore(about)?.target
  const off = useAccess() === 'no'
  const open = (action: 'replay' | 'purge', ids?: readonly string[]) =>
    withToken(() => choose({ action, page, filter, words, ...(ids && { ids }) }))
  return (
    <div class="toolbar">
      {here.length > 0 && (
        <span class="row selection">
          <b>{plural(here.length, 'letter')} selected</b>
          <button type="button" disabled={off} onClick={() => open('replay', here)}>
            Replay selected
          </button>
          <button type="button" class="danger" disabled={off} onClick={() => open('purge', here)}>
            Purge selected
          </button>
        </span>
      )}
      <span class="row push">
        <button type="button" disabled={off} onClick={() => open('replay')}>
          Replay all {count(chosen(page, 'replay', false))} {words ? 'that match' : ''}…
        </button>
        <button type="button" class="danger" disabled={off} onClick={() => open('purge')}>
          Purge all {count(page.matched)} {words ? 'that match' : ''}…
        </button>
        <a
          class="button"
          href={`/api/letters/export${queryOf({ ...filter })}`}
          download="dead-letters.ndjson"
          title={`$ ${commandOf({ do: 'export', filter }, target)}`}
        >
          Export
        </a>
      </span>
    </div>
  )
}

function Pages(props: {
  readonly page: LetterPage
  readonly query: URLSearchParams
  readonly first: boolean
}) {
  const { page, query, first } = props
  const to = (before: string | null) => {
    const next = new URLSearchParams(query)
    if (before === null) next.delete('before')
    else next.set('before', before)
    return `#/dead?${next}`
  }
  return (
    <nav class="row below" aria-label="Letters by age">
      {!first && <a href={to(null)}>Newest</a>}
      {page.next !== null && <a href={to(page.next)}>Older</a>}
      <span class="soft">
        {count(page.letters.length)} of {count(page.matched)} on this page, newest first
        {page.quarantined > 0 && `; ${count(page.quarantined)} in quarantine`}
        {page.unreplayable > 0 && `; ${count(page.unreplayable)} cannot be replayed`}
      </span>
    </nav>
  )
}
