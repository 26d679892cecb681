import type { Doctor, Trim } from '../contract.ts'
import { Age } from './age.tsx'
import { count, plural } from './format.ts'
import { Icon } from './icons.tsx'
import { Empty, Loaded } from './notice.tsx'
import { type Column, Table } from './table.tsx'
import { Time } from './time.tsx'
import { useGet } from './use-get.ts'

const LAST: readonly Column<Trim['last'][number]>[] = [
  { head: 'When', cell: ({ at }) => <Time at={at} /> },
  { head: 'Removed', kind: 'number', cell: ({ removed }) => plural(removed, 'entry', 'entries') },
  { head: 'Left', kind: 'number', cell: ({ length }) => plural(length, 'entry', 'entries') },
  { head: 'Held back by', cell: ({ pinnedBy }) => <span class="break">{pinnedBy ?? 'nobody'}</span> },
]

/** Where trimming stops, and who holds it there. */
export function TrimPanel({ trim, length }: { readonly trim: Trim; readonly length: number }) {
  const { first, floor, groups, missingGroups, last } = trim
  return (
    <section class="panel" aria-labelledby="trim">
      <div class="panel-head">
        <h2 id="trim">Trim</h2>
        <p class="soft">{plural(length, 'entry', 'entries')} kept</p>
      </div>
      {missingGroups.length > 0 && (
        <p class="where bad">
          <Icon name="warning" /> <span class="break">{missingGroups.join(', ')}</span>:{' '}
          {missingGroups.length === 1 ? 'this group was' : 'these groups were'} destroyed. Nothing is appended
          or trimmed until that is mended; Doctor says how.
        </p>
      )}
      <dl class="facts">
        <div>
          <dt>Oldest entry</dt>
          <dd>{first ? <EntryAge entry={first.entry} age={first.age} /> : 'none: the stream is empty'}</dd>
        </div>
        <div>
          <dt>Floor</dt>
          <dd>
            {floor ? (
              <>
                <EntryAge entry={floor.entry} age={floor.age} />, pinned by group{' '}
                <b class="break">{floor.group}</b>
              </>
            ) : (
              'none: no group needs anything any more'
            )}
          </dd>
        </div>
        <div>
          <dt>Groups</dt>
          <dd class="break">{groups.join(', ') || 'none'}</dd>
        </div>
      </dl>
      {last.length > 0 ? (
        <Table caption="Last trims" columns={LAST} rows={last} keyOf={({ at }) => `${at}`} />
      ) : (
        <Empty title="Nothing was trimmed since this console looks">
          Every 10 s, the producer trims a stream of more than 100 entries, never what a group still needs.
        </Empty>
      )}
    </section>
  )
}

function EntryAge({ entry, age }: { readonly entry: string; readonly age: number }) {
  return (
    <>
      <code>{entry}</code>, <Age entry={entry} ms={age} /> old
    </>
  )
}

const ICONS = { ok: 'check', note: 'info', finding: 'warning' } as const
const COLORS = { ok: 'good', note: 'soft', finding: 'bad' } as const
const ORDER = ['finding', 'note', 'ok'] as const

/** What a run rests on, looked at on demand. */
export function DoctorPanel() {
  const got = useGet<Doctor>('doctor')
  return (
    <section class="panel" aria-labelledby="doctor">
      <div class="panel-head">
        <h2 id="doctor">Doctor</h2>
        {got.data && (
          <p class={got.data.findings > 0 ? 'bad' : 'soft'} role="status">
            {plural(got.data.findings, 'finding')} in {plural(got.data.checks.length, 'check')},{' '}
            <Time at={got.data.at} />
          </p>
        )}
        <button
          type="button"
          class="push small"
          onClick={got.reload}
          disabled={got.loading}
          title="$ conveyor doctor"
        >
          {got.loading ? 'Checking …' : 'Check again'}
        </button>
      </div>
      <Loaded got={got} what="the doctor's findings">
        {({ checks }) => (
          <ul class="checks">
            {ORDER.flatMap(status => checks.filter(check => check.status === status)).map(
              ({ id, status, text, fix }) => (
                <li key={`${id} ${text}`}>
                  <span class={COLORS[status]}>
                    <Icon name={ICONS[status]} />
                    <span class="hidden">{status}: </span>
                  </span>
                  <b>{id}</b>
                  <span class="break">
                    {text}
                    {fix && (
                      <span class="fix">
                        <Icon name="arrow" size={13} /> {fix}
                      </span>
                    )}
                  </span>
                </li>
              ),
            )}
          </ul>
        )}
      </Loaded>
    </section>
  )
}

/** A line about trimming for the overview. */
export function TrimLine({ trim }: { readonly trim: Trim }) {
  const { floor, last } = trim
  const [newest] = last
  return (
    <p class="trim-line">
      {floor ? (
        <>
          Trimming stops at <code>{floor.entry}</code>, <Age entry={floor.entry} ms={floor.age} /> old, which
          group <b class="break">{floor.group}</b> still needs.
        </>
      ) : (
        'No group needs any entry any more: all of the stream may be trimmed.'
      )}{' '}
      {newest && (
        <>
          Last trim <Time at={newest.at} />: {count(newest.removed)} removed, {count(newest.length)} left.
        </>
      )}
    </p>
  )
}
