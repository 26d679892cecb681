import type { LetterRow } from '../contract.ts'

/**
 * The letters of a selection that an action is about: a replay leaves those alone that cannot be replayed and, unless
 * it is told otherwise, those in quarantine.
 */
export function actedOn(
  letters: readonly LetterRow[],
  ids: readonly string[],
  action: 'replay' | 'purge',
  quarantined: boolean,
): readonly string[] {
  const wanted = new Set(ids)
  return letters
    .filter(
      letter =>
        wanted.has(letter.id) &&
        (action === 'purge' || (letter.unreplayable === null && (quarantined || !letter.quarantined))),
    )
    .map(({ id }) => id)
}
