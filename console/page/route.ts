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
  readonly query: Readonly<Record<string, string>>
}

/** Reads a location's hash; whatever it holds, there is a page to show. */
export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#?\/?/, '').split('?', 2)
  const [name = '', ...rest] = path.split('/')
  const page = PAGES.find(one => one === name) ?? 'overview'
  return { page, id: decoded(rest.join('/')), query: Object.fromEntries(new URLSearchParams(search)) }
}

/** Address of a page. What of the query is empty is left out. */
export function hrefOf(
  page: Page,
  id = '',
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]))
  const search = new URLSearchParams(given).toString()
  const path = page === 'overview' ? '' : page
  return `#/${path}${id && `/${encodeURIComponent(id)}`}${search && `?${search}`}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
