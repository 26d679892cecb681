import { useEffect, useState } from 'preact/hooks'
import type { FilterErrors } from './letter-filter.ts'
import { hrefOf } from './route.ts'

const FIELDS = [
  ['error', 'Error contains', 'ECONNREFUSED'],
  ['packages', 'Packages', '100-200'],
  ['minAge', 'Older than', '10m'],
  ['maxAge', 'Younger than', '2h'],
  ['minReplays', 'Replayed at least', '3'],
] as const

/** The filter as a form. The address holds it, so that it can be kept and passed on. */
export function LetterFilters({
  query,
  errors,
}: {
  readonly query: URLSearchParams
  readonly errors: FilterErrors
}) {
  const [typed, type] = useState<Readonly<Record<string, string>>>({})
  useEffect(() => type({}), [String(query)])
  const value = (name: string) => typed[name] ?? query.get(name) ?? ''
  const apply = (event: Event) => {
    event.preventDefault()
    const fields = Object.fromEntries(FIELDS.map(([name]) => [name, value(name).trim()]))
    location.hash = hrefOf('dead', '', { ...fields, reason: query.getAll('reason') })
  }
  return (
    <form class="filters" onSubmit={apply} aria-label="Filter">
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
      <span class="row">
        <button type="submit">Filter</button>
        {[...query.keys()].length > 0 && <a href={hrefOf('dead')}>Clear</a>}
      </span>
    </form>
  )
}
