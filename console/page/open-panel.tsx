import type { PendingPage, Seen } from '../contract.ts'
import { Age } from './age.tsx'
import { count, cut, duration, plural } from './format.ts'
import { Due, PackageLink, RetryNow } from './pending.tsx'
import { hrefOf } from './route.ts'
import { useGet } from './use-get.ts'

/** How many of each kind are shown. */
const SHOWN = 3
/** Ms from which on an entry is worth a look: what is younger is on its way. */
const LONG = 1000

/** What is under way: how much, and the first of it. */
export function OpenPanel({ seen }: { readonly seen: Seen }) {
  const { pending, waiting, nextDue, retried } = seen
  const got = useGet<PendingPage>(`pending?limit=${SHOWN}`, 2000)
  return (
    <section class="panel" aria-labelledby="open">
      <div class="panel-head">
        <h2 id="open">Pending and waiting</h2>
        <p class="soft">{count(retried)} failed attempts in this run</p>
        <a class="push" href={hrefOf('pending')}>
          Show them
        </a>
      </div>
      <dl class="facts">
        <div>
          <dt>Delivered and not settled</dt>
          <dd>{plural(pending, 'entry', 'entries')}</dd>
        </div>
        <div>
          <dt>Waiting for another attempt</dt>
          <dd class={(nextDue ?? 0) < -5000 ? 'warn' : ''}>
            {plural(waiting, 'message')}
            {nextDue !== null &&
              (nextDue >= -1000
                ? `, next in ${duration(Math.max(0, nextDue))}`
                : `, ${duration(-nextDue)} late`)}
          </dd>
        </div>
      </dl>
      {got.data && <First page={got.data} reload={got.reload} />}
    </section>
  )
}

function First({ page, reload }: { readonly page: PendingPage; readonly reload: () => void }) {
  const held = page.pending.filter(({ age, deliveries }) => age >= LONG || deliveries > 1)
  if (page.waiting.length + held.length === 0) return null
  return (
    <ul class="first" aria-label="The oldest of them">
      {page.waiting.slice(0, SHOWN).map(({ entry, package: number, due, dueIn, attempt, lastError }) => (
        <li key={`waiting ${entry}`}>
          <PackageLink number={number} />
          <span class="first-text">
            again <Due due={due} dueIn={dueIn} />, failed {plural(attempt, 'time')}
            {lastError && <span class="soft">: {cut(lastError, 80)}</span>}
          </span>
          {number !== null && <RetryNow number={number} done={reload} />}
        </li>
      ))}
      {page.pending
        .slice(0, SHOWN)
        .map(({ entry, package: number, consumer, deliveries, age, lastError }) => (
          <li key={`pending ${entry}`}>
            <PackageLink number={number} />
            <span class="first-text">
              with {consumer}, <Age entry={entry} ms={age} /> old
              {deliveries > 1 && <span class="warn">, delivered {plural(deliveries, 'time')}</span>}
              {lastError && <span class="soft">: {cut(lastError, 80)}</span>}
            </span>
          </li>
        ))}
    </ul>
  )
}
