import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/**
 * The consumer's id when none is set: the first 8 characters of a container's host name (12 hexadecimal
 * digits, as Docker gives), else 8 random hexadecimal digits. Other host names are not cut: `consumer-1`
 * and `consumer-2` would both become `consumer`.
 */
export function identity(host = hostname()): string {
  return /^[0-9a-f]{12}$/.test(host) ? host.slice(0, 8) : randomBytes(4).toString('hex')
}
