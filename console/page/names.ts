import type { Page } from './route.ts'

/** What the pages are called. */
export const NAMES: Readonly<Record<Page, string>> = {
  overview: 'Overview',
  consumers: 'Consumers',
  pending: 'Pending',
  dead: 'Dead letters',
  search: 'Search',
  message: 'Message',
  health: 'Trim and doctor',
  audit: 'Actions',
}
