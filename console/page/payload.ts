/** What was typed in place of a payload: an object, or what is wrong with it, for people. */
export type Typed =
  | { readonly payload: Readonly<Record<string, unknown>>; readonly error?: undefined }
  | { readonly payload?: undefined; readonly error: string }

/**
 * Reads a payload that a person edited.
 *
 * @param number of the package: it stays, and may be left out
 */
export function typedPayload(text: string, number: number | null): Typed {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { error: `This is no JSON: ${(error as Error).message}` }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { error: 'A payload is a JSON object: { … }' }
  const payload = value as Record<string, unknown>
  if (number !== null && 'package' in payload && payload.package !== number)
    return { error: `The package stays ${number}: leave it as it is, or out` }
  return { payload }
}
