import { useEffect, useState } from 'preact/hooks'
import type { Hit, SearchQuery, SearchResult } from '../contract.ts'
import { count, duration, plural } from './format.ts'
import { StateMark } from './message.tsx'
import { Empty, Loaded } from './notice.tsx'
import { PackageLink } from './pending.tsx'
import { queryOf } from './query.ts'
import { hrefOf, type Route } from './route.ts'
import { highlighted, STATES, searchOf } from './search-query.ts'
import { type Column, Table } from './table.tsx'
import { useGet } from './use-get.ts'

const FIELDS = [
  ['text', 'Text', 'part of a payload, an error, a line'],
  ['packages', 'Packages', '4711, or 100-200'],
  ['consumer', 'Consumer', 'c1'],
  ['id', 'Entry or letter', '1795295011073-3'],
] as const

/** Finds messages by what is known of them. */
export function SearchPage({ route }: { readonly route: Route }) {
  const { search, errors } = searchOf(route.query)
  const got = useGet<SearchResult>(search && `search${queryOf({ ...search })}`)
  return (
    <section class="panel" aria-labelledby="search">
      <div class="panel-head">
        <h2 id="search">Search</h2>
        {got.data && (
          <p class="soft" role="status">
            {plural(got.data.hits.length, 'hit')}, {count(got.data.looked)} looked at in{' '}
            {duration(got.data.ms)}
            {!got.data.complete && '; not everything was looked at: narrow it'}
          </p>
        )}
      </div>
      <Form query={route.query} errors={errors} />
      {search === null ? (
        <Empty title="What is known of the message?">
          Give one field or more; a hit meets them all. What is in the stream, pending, waiting, dead or in
          the files is looked through, for two seconds at most.
        </Empty>
      ) : (
        <Loaded got={got} what="what matches">
          {result => <Hits result={result} search={search} />}
        </Loaded>
      )}
    </section>
  )
}

function Hits({ result, search }: { readonly result: SearchResult; readonly search: SearchQuery }) {
  if (result.hits.length === 0) {
    return (
      <Empty title="Nothing was found">
        {result.complete
          ? 'Everything that Redis and the files still hold was looked at. Give fewer fields, or another spelling.'
          : 'The time was up before everything was looked at. Give a range of packages, a state or a consumer as well.'}
      </Empty>
    )
  }
  const columns: readonly Column<Hit>[] = [
    { head: 'Package', kind: 'number', cell: ({ package: number }) => <PackageLink number={number} /> },
    { head: 'State', cell: ({ state }) => <StateMark state={state} /> },
    { head: 'Consumer', cell: ({ consumer }) => <span class="break">{consumer ?? '–'}</span> },
    {
      head: 'Id',
      kind: 'id',
      cell: ({ id, state }) =>
        id === null ? (
          '–'
        ) : state === 'dead' ? (
          <a href={hrefOf('dead', id)}>{id}</a>
        ) : (
          <code class="nowrap">{id}</code>
        ),
    },
    {
      head: 'Found',
      kind: 'wide',
      cell: ({ excerpt }) => (
        <code class="break">
          {highlighted(excerpt, search.text).map((piece, index) =>
            index % 2 === 1 ? <mark key={`${index}`}>{piece}</mark> : piece,
          )}
        </code>
      ),
    },
  ]
  return (
    <Table
      caption="What was found"
      columns={columns}
      rows={result.hits}
      keyOf={({ package: number, state, id, consumer, excerpt }) =>
        `${number} ${state} ${id} ${consumer} ${excerpt}`
      }
    />
  )
}

interface FormProps {
  readonly query: URLSearchParams
  readonly errors: ReturnType<typeof searchOf>['errors']
}

function Form({ query, errors }: FormProps) {
  const [typed, type] = useState<Readonly<Record<string, string>>>({})
  useEffect(() => type({}), [String(query)])
  const value = (name: string) => typed[name] ?? query.get(name) ?? ''
  const submit = (event: Event) => {
    event.preventDefault()
    const names = [...FIELDS.map(([name]) => name), 'state']
    location.hash = hrefOf('search', '', Object.fromEntries(names.map(name => [name, value(name).trim()])))
  }
  return (
    <form class="filters" onSubmit={submit} aria-label="Search for">
      {FIELDS.map(([name, label, example]) => (
        <label key={name}>
          <span>{label}</span>
          <input
            value={value(name)}
            placeholder={example}
            aria-invalid={errors[name] !== undefined}
            aria-describedby={errors[name] && `${name}-error`}
            onInput={event => type({ ...typed, [name]: event.currentTarget.value })}
          />
          {errors[name] && (
            <small id={`${name}-error`} class="bad">
              {errors[name]}
            </small>
          )}
        </label>
      ))}
      <label>
        <span>State</span>
        <select
          value={value('state')}
          onChange={event => type({ ...typed, state: event.currentTarget.value })}
        >
          <option value="">any</option>
          {STATES.map(state => (
            <option key={state} value={state}>
              {state}
            </option>
          ))}
        </select>
      </label>
      <span class="row">
        <button type="submit" class="primary">
          Search
        </button>
        {[...query.keys()].length > 0 && <a href={hrefOf('search')}>Clear</a>}
      </span>
    </form>
  )
}
