type Value = string | number | boolean | null | undefined

/** Fields as a query string, with its question mark unless it is ''. What is empty is left out. */
export function queryOf(fields: Readonly<Record<string, Value | readonly Value[]>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? (value as readonly Value[]) : [value as Value])
      if (one !== undefined && one !== null && one !== '') query.append(name, String(one))
  }
  const text = query.toString()
  return text && `?${text}`
}
