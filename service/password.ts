/** A URL without its user and password, for people to read; also one that cannot be parsed. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/.*@/s, '//***@')
}
