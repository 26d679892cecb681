// `npm run up` and `npm run down`: docker-compose.yml with whichever Compose is here. Further arguments are
// Compose's: `npm run up -- --scale consumer=5`, `npm run down -- -v`.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findCompose } from './find-compose.mjs'

const PAGES = [
  ['console', 'console', 8000, ''],
  ['producer', 'producer', 8000, '/status'],
  ['source', 'source', 8000, '/docs'],
  ['RabbitMQ', 'rabbitmq', 15672, ''],
  ['traces', 'jaeger', 16686, ''],
  ['metrics', 'prometheus', 9090, ''],
  ['dashboards', 'grafana', 3000, ''],
  ['Redis', 'redis-commander', 8081, ''],
]

const cwd = fileURLToPath(new URL('..', import.meta.url))
const [command, ...words] = findCompose()
const compose = (args, options) => spawnSync(command, [...words, ...args], { cwd, ...options })

const [verb, ...args] = process.argv.slice(2)
const { status } = compose(verb === 'up' ? ['up', '-d', '--build', ...args] : [verb, ...args], {
  stdio: 'inherit',
})
if (status === 0 && verb === 'up') printPages()
process.exitCode = status ?? 1

/** Says where to look, with the ports that were really taken; what does not run is left out. */
function printPages() {
  console.log('\nConveyor is running:')
  for (const [name, service, port, path] of PAGES) {
    const { stdout } = compose(['port', service, String(port)], { stdio: 'pipe', encoding: 'utf8' })
    const published = /:(\d+)\s*$/.exec(stdout)?.[1]
    if (published) console.log(`  ${name.padEnd(10)}  http://localhost:${published}${path}`)
  }
  console.log('`npm run validate-outputs` checks what came out, `npm run down` ends it.')
}
