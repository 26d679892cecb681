// `npm run test:compose`: docker-compose.yml under faults. Starts the pipeline as a project of its own beside
// whatever runs, with an output directory of its own and any free port; lets it run at 500 packages a second
// through one fault after another; and after each stops the producer, lets everything drain, and has the
// validator demand every package exactly once. Exits with 0 when all verdicts are good, with 1 when one is
// not, with 2 when there is no Compose. Removes what it made. COMPOSE names another command than
// `docker compose` or `docker-compose`.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { findCompose } from '../../scripts/find-compose.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const outputDir = `${root}.conveyor/compose-test-${process.pid}`
const CORE = ['redis', 'producer', 'consumer']
const SECONDS = { ready: 60, drain: 60 }

// What the shell or .env may say must not change what is tested.
const env = {
  ...process.env,
  COMPOSE_PROJECT_NAME: `conveyor-test-${process.pid}`,
  OUTPUT_DIR: outputDir,
  RATE: '500',
  ...Object.fromEntries(['PACKAGES', 'STREAM', 'GROUP', 'GROUPS', 'HANDLER'].map(name => [name, ''])),
  PRODUCER_PORT: '0', // any that is free
}

const STEPS = [
  ['three consumers', () => sleep(3000)],
  ['the command, inside a container', () => asked()],
  ['a consumer crashes; its container is restarted', () => crash(consumers()[0])],
  ['a consumer is killed; its container stays down', () => docker('kill', '-s', 'KILL', consumers()[0])],
  ['it is started again', () => compose('up', '-d', ...CORE)],
  ['a consumer is frozen for 5 s', () => freeze(consumers()[1], 5000)],
  ['all consumers restart', () => compose('restart', 'consumer')],
  ['five consumers', () => scale(5)],
  ['two consumers', () => scale(2)],
  ['five consumers again', () => scale(5)],
  ['Redis restarts', () => compose('restart', 'redis')],
  ['Redis is killed and started', () => killAndStart('redis')],
  ['the producer is killed and started', () => killAndStart('producer')],
  ['everything is taken down and up again', () => downAndUp()],
]

const [command, ...words] = findCompose()
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    interrupted = true
  })
}

let good = 0
try {
  mkdirSync(outputDir, { recursive: true })
  console.log('building the image and starting')
  const started = performance.now()
  compose('up', '-d', '--build', ...CORE)
  await until('the first package', SECONDS.ready, async () => (await producer('status')).sequence > 0)
  console.log(`first package given out after ${seconds(started)}`)
  for (const [name, step] of STEPS) {
    const began = performance.now()
    await step()
    await running()
    const { expect, report } = await validated()
    good++
    console.log(`ok  ${name}: ${expect} packages in ${report.totals.files} files, ${seconds(began)}`)
    await producer('resume', 'POST')
  }
  console.log(`NO ISSUES after any of ${good} steps`)
} catch (error) {
  process.exitCode = 1
  console.log(`FAILED after ${good} of ${STEPS.length} steps: ${error.message}`)
  if (!interrupted) console.log(tryRun(command, ...words, 'logs', '--tail', '40').stdout)
} finally {
  // Whoever runs this may not own what consumers wrote; the service that prepares the directory may remove it.
  tryRun(command, ...words, 'stop')
  tryRun(command, ...words, 'run', '--rm', '-T', 'output', 'rm -rf /output/* /output/.link-*')
  tryRun(command, ...words, 'down', '-v', '--rmi', 'local', '--remove-orphans')
  rmSync(outputDir, { recursive: true, force: true })
}

/** What an operator asks, beside a service that is set up for it. */
function asked() {
  const [container] = consumers()
  const { consumers: members } = JSON.parse(
    docker('exec', container, 'conveyor', 'monitor', '--once', '--json'),
  )
  const live = members.filter(({ state }) => state === 'live').length
  if (live !== 3) throw new Error(`monitor shows ${live} live consumers`)
  const { state } = JSON.parse(docker('exec', container, 'conveyor', 'message', '1', '--json'))
  if (state !== 'committed') throw new Error(`message says that package 1 is ${state}`)
}

/** Kills the service inside its container, which to Docker is no stop that was asked for. */
function crash(container) {
  const script = `for (const pid of require('fs').readdirSync('/proc')) try {
    if (/^PPid:\\t1$/m.test(require('fs').readFileSync('/proc/' + pid + '/status'))) process.kill(+pid, 'SIGKILL')
  } catch {}`
  docker('exec', container, 'node', '-e', script)
}

async function freeze(container, ms) {
  docker('pause', container)
  await sleep(ms)
  docker('unpause', container)
}

function scale(count) {
  compose('up', '-d', '--scale', `consumer=${count}`, ...CORE)
}

async function killAndStart(service) {
  compose('kill', '-s', 'KILL', service)
  await sleep(1000)
  compose('start', service)
}

function downAndUp() {
  compose('down')
  compose('up', '-d', ...CORE)
}

/** The consumers' containers. */
function consumers() {
  return compose('ps', '-q', 'consumer').split('\n').filter(Boolean)
}

/** Waits until 500 more packages are given out. */
async function running() {
  let from
  await until('500 more packages', SECONDS.ready, async () => {
    const { sequence } = await producer('status')
    from ??= sequence
    return sequence >= from + 500
  })
}

/** Stops the producer, and gives what the validator says when all that it gave out is there. */
async function validated() {
  let expect = -1
  await until('the producer to pause', SECONDS.ready, async () => {
    await producer('pause', 'POST')
    const { sequence } = await producer('status')
    const still = sequence === expect
    expect = sequence
    return still
  })
  let report
  await until(`${expect} packages in the files`, SECONDS.drain, () => {
    const options = ['--json', '--output-dir', outputDir, '--expect', String(expect)]
    const { stdout } = tryRun(process.execPath, `${root}cli/dist/main.js`, 'validate', ...options)
    report = JSON.parse(stdout || '{}')
    return report.verdict === 'ok'
  }).catch(error => {
    throw new Error(`${error.message}; the validator says ${JSON.stringify(report?.totals)}`)
  })
  return { expect, report }
}

/** Not with `fetch`: in Node.js 20 it may stay unsettled when a container that starts resets the connection. */
function producer(path, method = 'GET') {
  const url = `http://${compose('port', 'producer', '8000').trim()}/${path}`
  return new Promise((resolve, reject) => {
    request(url, { method, agent: false, timeout: 5000 }, response => json(response).then(resolve, reject))
      .on('timeout', function () {
        this.destroy(new Error('no answer'))
      })
      .on('error', reject)
      .end()
  })
}

/** Asks twice a second. A question that fails, as while a service starts, counts as a no. */
async function until(what, limit, question) {
  const end = performance.now() + limit * 1000
  let reason = ''
  while (performance.now() < end) {
    if (interrupted) throw new Error('interrupted')
    try {
      if (await question()) return
    } catch (error) {
      reason = ` (${error.message})`
    }
    await sleep(500)
  }
  throw new Error(`waited ${limit} s for ${what}${reason}`)
}

function compose(...args) {
  return run(command, ...words, ...args)
}

function docker(...args) {
  return run('docker', ...args)
}

function run(...line) {
  if (interrupted) throw new Error('interrupted')
  const { status, stdout, stderr, error } = tryRun(...line)
  if (status === 0) return stdout
  throw new Error(`\`${line.join(' ')}\`: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
}

function tryRun(program, ...args) {
  return spawnSync(program, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 2 ** 28 })
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
