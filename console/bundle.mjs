// Bundles the console's page into console/dist/page, when its sources are newer than what is there.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = `${root}console/page`
const out = `${root}console/dist/page`

/** Latest change below a folder, Unix ms. */
function newest(folder) {
  return Math.max(
    statSync(folder).mtimeMs,
    ...readdirSync(folder, { withFileTypes: true }).map(entry =>
      entry.isDirectory() ? newest(`${folder}/${entry.name}`) : statSync(`${folder}/${entry.name}`).mtimeMs,
    ),
  )
}

const sources = Math.max(
  newest(source),
  statSync(`${root}console/contract.ts`).mtimeMs,
  statSync(`${root}console/commands.ts`).mtimeMs,
  statSync(`${root}node_modules/.package-lock.json`).mtimeMs,
)
const built = `${out}/index.html` // written last
if (!existsSync(built) || statSync(built).mtimeMs < sources) {
  await build({
    entryPoints: [
      { in: `${source}/main.tsx`, out: 'app' },
      { in: `${source}/app.css`, out: 'app' },
    ],
    outdir: out,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'linked',
    logLevel: 'warning',
  })
  await copyFile(`${source}/index.html`, built)
}
