import { queryOf } from './query.ts'

/** The pages there are; the first is shown when the address names none. */
export const PAGES = [
  'overview',
  'consumers',
  'pending',
  'dead',
  'search',
  'message',
  'health',
  'audit',
] as const
export type Page = (typeof PAGES)[number]

/** What the address' hash says: `#/message/4711`, `#/dead?reason=rejected`. */
export interface Route {
  readonly page: Page
  /** What follows the page's name; '' when nothing does. */
  readonly id: string
  readonly query: URLSearchParams
}

/** Reads a location's hash; whatever it holds, there is a page to show. */
export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#?\/?/, '')
  const at = text.indexOf('?')
  const [name = '', ...rest] = (at < 0 ? text : text.slice(0, at)).split('/')
  const page = PAGES.find(one => one === name) ?? 'overview'
  const query = new URLSearchParams(at < 0 ? '' : text.slice(at + 1))
  return { page, id: decoded(rest.join('/')), query }
}

/** Address of a page. What of the query is empty is left out. */
export function hrefOf(
  page: Page,
  id: string | number = '',
  query: Parameters<typeof queryOf>[0] = {},
): string {
  const path = page === 'overview' ? '' : page
  return `#/${path}${id === '' ? '' : `/${encodeURIComponent(id)}`}${queryOf(query)}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
