// Brings a clone into a runnable state: installs npm dependencies when package-lock.json has changed since the
// last install, then compiles, and bundles the console's page. Runs before every npm script; takes a fraction of a
// second when there is nothing to do. Plain JavaScript, because it runs before TypeScript is there.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}node_modules/.conveyor-lock`

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`conveyor: Node.js ${process.versions.node} is too old; 20.19 or newer is needed`)
  process.exit(2)
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  console.error(`conveyor: \`${command} ${args.join(' ')}\` failed${error ? `: ${error.message}` : ''}`)
  process.exit(2)
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const lock = createHash('sha256')
  .update(readFileSync(`${root}package-lock.json`))
  .digest('hex')
if (read(stamp) !== lock) {
  console.error('conveyor: installing dependencies (npm ci)')
  run('npm', ['ci', '--loglevel=error'])
  mkdirSync(`${root}node_modules`, { recursive: true })
  writeFileSync(stamp, lock)
}
run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-b'])
run(process.execPath, [`${root}console/bundle.mjs`])
