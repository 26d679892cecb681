#!/usr/bin/env node
// The `conveyor` command. A file of its own, because npm makes its link at install time, when nothing is compiled yet.
// Plain JavaScript, and old, so that it can say so if Node.js is.
import { existsSync } from 'node:fs'

const main = new URL('../dist/main.js', import.meta.url)
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`conveyor: Node.js ${process.versions.node} is too old; 20.19 or newer is needed`)
  process.exitCode = 2
} else if (!existsSync(main)) {
  console.error('conveyor: not compiled yet: run `npm run build` first')
  process.exitCode = 2
} else {
  await import(main.href)
}
