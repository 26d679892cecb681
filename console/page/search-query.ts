import type { SearchQuery } from '../contract.ts'
import { hrefOf } from './route.ts'

/** States that can be searched for. */
export const STATES = [
  'undelivered',
  'pending',
  'waiting',
  'dead',
  'committed',
  'purged',
] as const satisfies readonly NonNullable<SearchQuery['state']>[]

/**
 * Where what was typed into the search field leads: a number or the id of an entry to its message, anything else to
 * the search for it. Undefined when nothing was typed.
 */
export function whereTo(typed: string): string | undefined {
  const text = typed.trim()
  const number = text.replace(/^#|[,_](?=\d{3})/g, '')
  if (text === '') return undefined
  if (/^[1-9]\d{0,15}$/.test(number)) return hrefOf('message', number)
  if (/^\d{10,16}-\d+$/.test(text)) return hrefOf('search', '', { id: text })
  if (/^\d+\s*-\s*\d+$/.test(text)) return hrefOf('search', '', { packages: text.replaceAll(' ', '') })
  return hrefOf('search', '', { text })
}

/** The search that an address asks for; null when it asks for none. What cannot be used is named in `errors`. */
export function searchOf(query: URLSearchParams): {
  readonly search: SearchQuery | null
  readonly errors: Partial<Record<keyof SearchQuery, string>>
} {
  const value = (name: keyof SearchQuery) => query.get(name)?.trim() ?? ''
  const errors: { -readonly [K in keyof SearchQuery]?: string } = {}
  const packages = value('packages').replaceAll(' ', '')
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(packages) ?? []
  if (packages !== '' && !(Number(from) <= Number(to)))
    errors.packages = 'A number, or a range such as 100-200.'
  const id = value('id')
  if (id !== '' && !/^\d+-\d+$/.test(id))
    errors.id = 'The id of an entry or a letter, such as 1795295011073-3.'
  const text = value('text')
  if (text !== '' && (text.length < 2 || text.length > 100)) errors.text = '2 to 100 characters.'
  const state = STATES.find(one => one === value('state'))
  const consumer = value('consumer')
  const search: SearchQuery = {
    ...(packages && !errors.packages && { packages }),
    ...(id && !errors.id && { id }),
    ...(consumer && { consumer }),
    ...(state && { state }),
    ...(text && !errors.text && { text }),
  }
  const usable = Object.keys(search).length > 0 && Object.keys(errors).length === 0
  return { search: usable ? search : null, errors }
}

/** A text in pieces, every other one, from the second on, being what was searched for; in upper or lower case. */
export function highlighted(excerpt: string, text: string | undefined): readonly string[] {
  if (!text) return [excerpt]
  const pieces: string[] = []
  const [lower, wanted] = [excerpt.toLowerCase(), text.toLowerCase()]
  if (lower.length !== excerpt.length) return [excerpt] // a letter whose small form is longer: places do not match
  let from = 0
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    pieces.push(excerpt.slice(from, at), excerpt.slice(at, at + wanted.length))
    from = at + wanted.length
  }
  return [...pieces, excerpt.slice(from)]
}
