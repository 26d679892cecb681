import { useState } from 'preact/hooks'
import type { Letter, LetterPage } from '../contract.ts'
import { about } from './api.ts'
import { BulkDialog } from './bulk-dialog.tsx'
import { EditDialog } from './edit-dialog.tsx'
import { count, exact, plural } from './format.ts'
import { Fact, Payload } from './message.tsx'
import { Loaded } from './notice.tsx'
import { PackageLink } from './pending.tsx'
import type { Route } from './route.ts'
import { actedOn } from './selection.ts'
import { useStore } from './store.ts'
import { Time } from './time.tsx'
import { useAccess, withToken } from './token-dialog.tsx'
import { useGet } from './use-get.ts'

/** One dead letter: what died, of what, and what can be done. */
export function LetterPageView({ route }: { readonly route: Route }) {
  const { id, query } = route
  const got = useGet<Letter>(`letters/${encodeURIComponent(id)}`)
  return (
    <>
      <p class="filter-line">
        <a href={`#/dead${[...query.keys()].length > 0 ? `?${query}` : ''}`}>← Dead letters</a>
      </p>
      <Loaded got={got} what={`letter ${id}`}>
        {letter => <Details letter={letter} reload={got.reload} />}
      </Loaded>
    </>
  )
}

function Details({ letter, reload }: { readonly letter: Letter; readonly reload: () => void }) {
  const { id, package: number, reason, detail, stack, failures, payload, data } = letter
  return (
    <article aria-labelledby="letter">
      <div class="page-head">
        <h2 id="letter">{number === null ? `Letter ${id}` : `Package ${count(number)}`}</h2>
        <span class="badge badge-bad break">{reason}</span>
        {letter.quarantined && <span class="badge badge-warn">quarantine</span>}
        <Actions letter={letter} reload={reload} />
      </div>
      <section class="panel" aria-label="The letter">
        <p class="where break">{detail || 'Nothing was said of what is wrong.'}</p>
        {letter.unreplayable && <p class="where warn">It cannot be replayed: {letter.unreplayable}</p>}
        <dl class="facts">
          <Fact name="Died">
            <Time at={letter.at} />
          </Fact>
          <Fact name="Package">
            <PackageLink number={number} />
          </Fact>
          <Fact name="Attempts">
            {count(letter.attempts)}; its last entry was delivered {plural(letter.deliveries, 'time')}
          </Fact>
          <Fact name="Replays">{count(letter.replays)}</Fact>
          <Fact name="Consumer">{letter.consumer ?? 'not known'}</Fact>
          <Fact name="Group">{letter.group}</Fact>
          <Fact name="Letter">{id}</Fact>
          <Fact name="Message">
            {letter.message}
            {letter.entry !== letter.message && `, last in ${letter.entry}`}
          </Fact>
          <Fact name="Run">{letter.run || 'not known'}</Fact>
          {letter.trace && (
            <Fact name="Trace">
              <a href={letter.trace} rel="noreferrer" target="_blank">
                Show in Jaeger
              </a>
            </Fact>
          )}
        </dl>
      </section>
      {failures.length > 0 && (
        <section class="panel" aria-labelledby="failures">
          <div class="panel-head">
            <h2 id="failures">Failed attempts</h2>
            <p class="soft">{plural(failures.length, 'attempt')}, those before a replay included</p>
          </div>
          <ol class="failures">
            {failures.map(({ at, consumer, reason, detail }, index) => (
              <li key={`${index} ${at}`}>
                <time class="nowrap soft" title={exact(at)}>
                  {exact(at).slice(0, 19)}
                </time>{' '}
                <span class="break">
                  {consumer}: {reason}: {detail}
                </span>
              </li>
            ))}
          </ol>
        </section>
      )}
      <section class="panel" aria-labelledby="payload">
        <div class="panel-head">
          <h2 id="payload">Payload</h2>
        </div>
        {payload === null && data === '' ? (
          <p class="notice soft">It has none: there is nothing to replay.</p>
        ) : (
          <Payload text={payload ?? data} />
        )}
      </section>
      {stack !== null && (
        <section class="panel" aria-labelledby="stack">
          <div class="panel-head">
            <h2 id="stack">Stack</h2>
          </div>
          <Payload text={stack} label="Stack text" />
        </section>
      )}
    </article>
  )
}

function Actions({ letter, reload }: { readonly letter: Letter; readonly reload: () => void }) {
  const [open, setOpen] = useState<'replay' | 'purge' | 'edit'>()
  const off = useAccess() === 'no'
  const why = useStore(about)?.why
  const close = () => setOpen(undefined)
  const button = (what: 'replay' | 'purge' | 'edit', text: string, disabled: boolean) => (
    <button
      type="button"
      class={what === 'purge' ? 'danger' : ''}
      disabled={off || disabled}
      title={off ? (why ?? 'Read-only') : (letter.unreplayable ?? undefined)}
      onClick={() => withToken(() => setOpen(what))}
    >
      {text}
    </button>
  )
  const stays = letter.unreplayable !== null
  return (
    <span class="row push">
      {button('replay', 'Replay', stays)}
      {button('edit', 'Edit and replay', stays || letter.payload === null)}
      {button('purge', 'Purge', false)}
      {open === 'edit' && <EditDialog letter={letter} close={close} done={reload} />}
      {(open === 'replay' || open === 'purge') && (
        <BulkDialog
          choice={{ action: open, page: pageOf(letter), filter: {}, words: '', ids: [letter.id] }}
          close={close}
          done={reload}
        />
      )}
    </span>
  )
}

/** The letter as a page of letters that has nothing else. */
function pageOf(letter: Letter): LetterPage {
  return {
    letters: [letter],
    matched: 1,
    reasons: { [letter.reason]: 1 },
    quarantined: letter.quarantined ? 1 : 0,
    unreplayable: letter.unreplayable === null ? 0 : 1,
    replayable: actedOn([letter], [letter.id], 'replay', false).length,
    replayableAnyway: actedOn([letter], [letter.id], 'replay', true).length,
    complete: true,
    next: null,
    through: letter.id,
  }
}
