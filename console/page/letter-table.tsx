import type { LetterRow } from '../contract.ts'
import { count, plural } from './format.ts'
import { PackageLink } from './pending.tsx'
import { hrefOf } from './route.ts'
import { type Column, Table } from './table.tsx'
import { Time } from './time.tsx'

interface Props {
  readonly letters: readonly LetterRow[]
  readonly selected: ReadonlySet<string>
  readonly select: (ids: ReadonlySet<string>) => void
  readonly query: URLSearchParams
}

export function LetterTable({ letters, selected, select, query }: Props) {
  const all = letters.length > 0 && letters.every(({ id }) => selected.has(id))
  const toggle = (id: string) => {
    const next = new Set(selected)
    if (!next.delete(id)) next.add(id)
    select(next)
  }
  const fields = Object.fromEntries([...query.keys()].map(name => [name, query.getAll(name)]))
  const columns: readonly Column<LetterRow>[] = [
    {
      head: 'Select',
      header: (
        <input
          type="checkbox"
          aria-label="Select all on this page"
          checked={all}
          onChange={() => select(new Set(all ? [] : letters.map(({ id }) => id)))}
        />
      ),
      cell: ({ id, package: number }) => (
        <input
          type="checkbox"
          aria-label={`Select ${number === null ? `letter ${id}` : `package ${number}`}`}
          checked={selected.has(id)}
          onChange={() => toggle(id)}
        />
      ),
    },
    { head: 'Died', cell: ({ at }) => <Time at={at} /> },
    { head: 'Package', kind: 'number', cell: ({ package: number }) => <PackageLink number={number} /> },
    {
      head: 'Reason',
      cell: ({ reason, quarantined, unreplayable }) => (
        <>
          <span class="break">{reason}</span>{' '}
          {quarantined && (
            <span class="badge badge-warn" title="It was replayed so often that a replay leaves it alone">
              quarantine
            </span>
          )}
          {unreplayable && (
            <span class="badge badge-quiet" title={unreplayable}>
              not replayable
            </span>
          )}
        </>
      ),
    },
    {
      head: 'Error',
      kind: 'wide',
      cell: ({ id, detail }) => (
        <a class="detail" href={hrefOf('dead', id, fields)} title={detail}>
          {detail || 'nothing was said'}
        </a>
      ),
    },
    { head: 'Attempts', kind: 'number', cell: ({ attempts }) => count(attempts) },
    { head: 'Replays', kind: 'number', cell: ({ replays }) => count(replays) },
    { head: 'Consumer', cell: ({ consumer }) => <span class="break">{consumer ?? '–'}</span> },
  ]
  return (
    <Table
      caption={`Dead letters, ${plural(letters.length, 'row')}`}
      columns={columns}
      rows={letters}
      keyOf={({ id }) => id}
      classOf={({ id }) => (selected.has(id) ? 'selected' : '')}
    />
  )
}
