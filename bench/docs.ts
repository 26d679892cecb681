import { readFile, writeFile } from 'node:fs/promises'
import { asMarkdown, type Table } from './table.ts'

const path = new URL('../../docs/performance.md', import.meta.url)

/**
 * Puts tables into docs/performance.md, each between its markers `<!-- bench:<id> -->` and `<!-- /bench:<id> -->`; what
 * was not measured stays as it is. Throws when there are none for a table.
 */
export async function fillDocs(tables: readonly Table[], machine: string): Promise<void> {
  let text = await readFile(path, 'utf8')
  for (const table of tables) {
    const place = new RegExp(`(<!-- bench:${table.id} -->\n)[\\s\\S]*?(<!-- /bench:${table.id} -->)`)
    if (!place.test(text)) throw new Error(`docs/performance.md has no place for ${table.id}`)
    const inside = `\n${asMarkdown(table)}\n\nMeasured on ${machine}.\n\n`
    text = text.replace(place, (_, begin: string, end: string) => `${begin}${inside}${end}`)
  }
  await writeFile(path, text)
}
