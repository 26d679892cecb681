import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

const folder = (path: string) => fileURLToPath(new URL(`../console/${path}`, import.meta.url))

test('script and style are under 150 KB, compressed, and name no other host to load from', async () => {
  const files = await Promise.all(['app.js', 'app.css'].map(name => readFile(folder(`dist/page/${name}`))))
  const bytes = files.reduce((sum, file) => sum + gzipSync(file).length, 0)
  expect(bytes).toBeLessThan(150_000)
  expect(files[1]?.toString()).not.toMatch(/url\(|@import/)
  expect(await readFile(folder('dist/page/index.html'), 'utf8')).not.toMatch(/(src|href)="(https?:)?\/\//)
})

test('nothing is put into the page as HTML', async () => {
  const names = (await readdir(folder('page'))).filter(name => /\.tsx?$/.test(name))
  expect(names.length).toBeGreaterThan(20)
  for (const name of names)
    expect(await readFile(folder(`page/${name}`), 'utf8')).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write/i,
    )
})
