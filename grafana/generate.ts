// Writes the dashboards that Grafana reads: `npm run dashboards`.
import { mkdirSync, writeFileSync } from 'node:fs'
import { generate } from './dashboards.ts'

const folder = new URL('../dashboards/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const [name, text] of generate()) writeFileSync(new URL(name, folder), text)
