import type { AuditPage } from '../contract.ts'
import { Command } from './command.tsx'
import { count } from './format.ts'
import { Empty, Loaded } from './notice.tsx'
import { type Column, Table } from './table.tsx'
import { Time } from './time.tsx'
import { useGet } from './use-get.ts'

const COLUMNS: readonly Column<AuditPage['entries'][number]>[] = [
  { head: 'When', cell: ({ at }) => <Time at={at} /> },
  { head: 'Who', cell: ({ who }) => <span class="break">{who}</span> },
  { head: 'Action', cell: ({ action }) => <b>{action}</b> },
  { head: 'What', cell: ({ what }) => <span class="break">{what}</span> },
  { head: 'How many', kind: 'number', cell: ({ count: n }) => count(n) },
  { head: 'Command', kind: 'wide', cell: ({ command }) => (command ? <Command line={command} /> : '–') },
]

/** Who changed what, here or on the command line. */
export function AuditPageView() {
  const got = useGet<AuditPage>('audit?limit=100', 3000)
  return (
    <section class="panel" aria-labelledby="audit">
      <div class="panel-head">
        <h2 id="audit">Actions</h2>
        <p class="soft">who did what, newest first</p>
      </div>
      <Loaded got={got} what="what was done">
        {({ entries }) =>
          entries.length === 0 ? (
            <Empty title="Nothing was done yet">
              Every replay, purge, retry, pause and drain is noted here, whether it was done on this page or
              by a command.
            </Empty>
          ) : (
            <Table
              caption="Actions"
              columns={COLUMNS}
              rows={entries}
              keyOf={({ at, who, action, what }) => `${at} ${who} ${action} ${what}`}
            />
          )
        }
      </Loaded>
    </section>
  )
}
