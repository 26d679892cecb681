import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { contents, faultsOf, processesIn, readOutput, until } from '@conveyor/chaos'
import { findRedisServer, startRedis } from '@conveyor/redis'
import { expect, onTestFinished, test } from 'vitest'
import { OK, PATIENCE, said, useCommands } from './run-command.ts'

const commands = useCommands()
const conveyor = commands.start
const run = commands.run

/** The runs that the output folder holds, oldest first. */
async function runs(): Promise<string[]> {
  const names = (await readdir(join(commands.dir, 'out', 'runs'))).filter(name => !name.startsWith('.'))
  return names.sort().map(name => join(commands.dir, 'out', 'runs', name))
}

async function expectRun(folder: string | undefined, packages: number): Promise<void> {
  expect(faultsOf(await readOutput(folder as string), packages)).toEqual([])
}

/** Process ids of the consumers that run in the folder. */
async function consumers(): Promise<number[]> {
  const all = await processesIn(commands.dir)
  return all.filter(line => line.includes('consumer/dist/main.js')).map(line => Number.parseInt(line, 10))
}

test('a run with an end, a run that goes on, a fresh run', async () => {
  const first = await run('up --packages 500 --rate 500 --consumers 2 --output-dir out')
  expect(first).toContain('NO ISSUES DETECTED')
  expect(await runs()).toHaveLength(1)
  await expectRun((await runs())[0], 500)

  await run('up --packages 800 --rate 500 --consumers 2 --output-dir out')
  expect(await runs()).toHaveLength(1)
  await expectRun((await runs())[0], 800)

  const before = await contents((await runs())[0] as string)
  await run('up --packages 300 --rate max --consumers 2 --output-dir out --fresh')
  const [old, fresh] = await runs()
  expect(await contents(old as string)).toEqual(before)
  await expectRun(old, 800)
  await expectRun(fresh, 300)
  expect(await run('validate --output-dir out --expect 300')).toContain('NO ISSUES DETECTED')
})

test('an interrupt: drains, validates, and exits with 0', async () => {
  const command = conveyor('up --rate 500 --consumers 2 --output-dir out')
  await said(command, /committed=[1-9]\d{2}/)
  command.send('SIGINT')
  expect(await command.ended(PATIENCE)).toEqual(OK)
  expect(command.output).toContain('NO ISSUES DETECTED')
  const [folder] = await runs()
  const { numbers } = await readOutput(folder as string)
  await expectRun(folder, numbers.size)
})

test('a consumer killed in between is started again', async () => {
  const command = conveyor('up --packages 4000 --rate 1000 --consumers 2 --output-dir out')
  await said(command, /committed=[1-9]\d{2}/)
  process.kill((await consumers())[0] as number, 'SIGKILL')
  await said(command, /was ended by SIGKILL: starting it again/)
  expect(await command.ended(PATIENCE), command.lastWords(40)).toEqual(OK)
  await expectRun((await runs())[0], 4000)
})

test('a mix of packages: retries are waited for, dead letters are no issue, and everything is accounted for', async () => {
  const options = '--rate 1000 --consumers 2 --output-dir out --handler demo --mix success=90,retry=8,fail=2'
  const quick = { RETRY_DELAY_MS: '300' }
  const first = conveyor(`up --packages 1000 ${options} --seed 7`, quick)
  expect(await first.ended(PATIENCE), first.lastWords(40)).toEqual(OK)
  const [, inFiles, dead] =
    /^Given out: 1,000 {3}in files: (\d+) {3}in the dead letters: (\d+)$/m.exec(first.output) ?? []
  expect(Number(dead)).toBeGreaterThan(5)
  expect(Number(inFiles) + Number(dead)).toBe(1000)
  expect(first.output).toContain(`packages processed exactly once, ${dead} in the dead letters`)
  expect(first.output).toMatch(/handler failed: \d+ packages: \d+, /)
  expect(first.output).toContain('conveyor dlq list')
  expect(first.output).toMatch(/waiting=[1-9]/)

  // Interrupted at once, it still waits for what is to be tried again.
  const second = conveyor(`up ${options}`, { RETRY_DELAY_MS: '3000', RETRY_MAX_DELAY_MS: '3000' })
  await said(second, /^packages: success=90,retry=8,fail=2, seed \d+$/m)
  await said(second, /waiting=[1-9]/)
  second.send('SIGINT')
  await said(second, / draining: \d+ waiting, next in /)
  expect(await second.ended(PATIENCE), second.lastWords(40)).toEqual(OK)
  expect(second.output).toContain('NO ISSUES DETECTED')
})

test('a handler that cannot be loaded: all consumers say why, and the run ends', async () => {
  await writeFile(join(commands.dir, 'broken.mjs'), 'export default 5')
  const command = conveyor('up --rate 10 --consumers 2 --output-dir out --handler broken.mjs')
  expect(await command.ended(PATIENCE)).toEqual({ code: 2, signal: null })
  expect(command.output).toMatch(/c1 ended with exit code 2: HANDLER="broken\.mjs": a module whose default/)
  expect(command.output).toContain('conveyor: not drained: no consumer is left')
})

test('two stages: queries are answered by the first, the second writes, and nothing is in neither', async () => {
  const output = await run(
    'up --flow stages --packages 600 --rate 300 --consumers 2 --output-dir out --seed 3',
  )
  const [, given, processed, dead] = (
    /queue_a: given out ([\d,]+) {3}processed ([\d,]+) {3}in the dead letters ([\d,]+)/.exec(output) ?? []
  ).map(Number)
  expect(given).toBe(600)
  expect(dead).toBeGreaterThan(0)
  expect(processed).toBe(600 - (dead as number))
  expect(output).toContain(`Given out: ${processed}   in files: ${processed}`)
  expect(output).toContain('NO ISSUES DETECTED')
})

test('rows of a database of its own instead of files, also when that is killed in between', async () => {
  const command = conveyor('up --packages 4000 --rate 1000 --consumers 2 --sink postgres')
  await said(command, /committed=[1-9]\d{2}/)
  const database = (await processesIn(commands.dir)).find(line => line.includes('pglite.js')) as string
  process.kill(Number.parseInt(database, 10), 'SIGKILL')
  await said(command, /PostgreSQL ended \(SIGKILL\): starting it again/)
  expect(await command.ended(PATIENCE), command.lastWords(40)).toEqual(OK)
  expect(command.output).toContain('Given out: 4,000   in the table: 4,000   in the dead letters: 0')
  expect(command.output).toContain('NO ISSUES DETECTED')
  expect(await run('up --packages 5000 --rate max --consumers 2 --sink postgres')).toContain(
    'in the table: 5,000',
  )

  const files = conveyor('up --packages 10 --rate max --output-dir out')
  expect(await files.ended(PATIENCE)).toEqual({ code: 2, signal: null })
  expect(files.output).toMatch(/run \S+ has been written to a database: --sink postgres goes on with it/)
})

test('validate knows the dead letters of a Redis that it is told of', async () => {
  const redis = await startRedis({ path: (await findRedisServer({ interactive: false })).path })
  onTestFinished(() => redis.stop())
  const at = `--redis-url ${redis.url}`
  await run(
    `up --packages 300 --rate max --output-dir out --handler demo --mix fail=1,test=2 --seed 1 ${at}`,
    {
      RETRY_DELAY_MS: '10',
    },
  )
  const alone = conveyor('validate --output-dir out --expect 300')
  expect(await alone.ended(PATIENCE)).toEqual({ code: 1, signal: null })
  expect(alone.output).toMatch(/ISSUES DETECTED: \d+ missing packages/)
  expect(await run(`validate --output-dir out --expect 300 ${at}`)).toContain('in the dead letters')
  await redis.stop()
  const gone = conveyor(`validate --output-dir out ${at}`)
  expect(await gone.ended(PATIENCE)).toEqual({ code: 3, signal: null })
})

test('killed itself, it leaves no process behind, and the next run goes on', async () => {
  const command = conveyor('up --rate 500 --consumers 2 --output-dir out')
  await said(command, /committed=[1-9]\d{2}/)
  expect((await processesIn(commands.dir)).length).toBeGreaterThanOrEqual(5) // it, Redis, a producer, two consumers
  await command.kill()
  let left: string[] = []
  await until(
    async () => {
      left = await processesIn(commands.dir)
      return left.length === 0
    },
    'all services and Redis have ended',
    60_000,
    () => left.join('\n'),
  )
  await run('up --packages 5000 --rate max --consumers 2 --output-dir out')
  await expectRun((await runs())[0], 5000)
})

const WRONG: [args: string, env: NodeJS.ProcessEnv, said: RegExp][] = [
  ['up --rate banana', {}, /--rate.*banana/],
  ['up --packages -3', {}, /--packages.*-3/],
  ['up --consumers 0', {}, /--consumers.*0/],
  ['up --redis-url localhost', {}, /--redis-url.*localhost/],
  ['up --nonsense', {}, /--nonsense/],
  ['up --sink nowhere', {}, /--sink.*nowhere.*file, postgres/],
  ['up --sink postgres --database-url localhost', {}, /--database-url.*localhost/],
  ['up', { RATE: 'banana' }, /banana.*RATE/],
  ['up --mix success=x', {}, /--mix.*success=x.*success, retry, fail, order, test, query, each once/],
  ['up', { MIX: 'none=1' }, /none=1.*MIX/],
  ['up --seed -1', {}, /--seed.*-1/],
  ['up --handler nowhere.mjs', {}, /--handler.*nowhere\.mjs.*or demo, is allowed/],
  ['validate --expect many', {}, /--expect.*many/],
  ['moniter', {}, /unknown command 'moniter'.*Did you mean monitor/],
  ['monitor --onec', {}, /unknown option '--onec'.*Did you mean --once/],
  ['monitor --interval 0', {}, /--interval.*0/],
  ['doctor --jsn', {}, /Did you mean --json/],
  ['doctor', { DEATH_BEATS: 'many' }, /many.*DEATH_BEATS/],
  ['completion tcsh', {}, /tcsh.*bash, zsh, fish/],
]

test.for(WRONG)('%s %o: one line and exit code 2', async ([args, env, complaint]) => {
  const command = conveyor(args, env)
  expect(await command.ended(PATIENCE)).toEqual({ code: 2, signal: null })
  expect(command.output).toMatch(complaint)
  expect(command.output.trim().split('\n'), command.output).toHaveLength(1)
})

test('--version, and --help with examples for every command', async () => {
  expect(await run('--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  const names = (await run('completion bash')).matchAll(/^\|([a-z]+)\|/gm)
  const commands = [...names].map(match => match[1] as string).filter(name => name !== 'help')
  expect(commands).toEqual(expect.arrayContaining(['up', 'validate', 'monitor', 'doctor', 'completion']))
  for (const name of ['up', 'validate', 'monitor', 'doctor', 'completion'])
    expect(await run(`${name} --help`)).toMatch(new RegExp(`\nExamples:\n {2}conveyor ${name}`))
})

test('what npm links as `conveyor` is executable, and says so when nothing is compiled', async () => {
  const bin = fileURLToPath(new URL('../cli/bin/conveyor.mjs', import.meta.url))
  const linked = fileURLToPath(new URL('../node_modules/.bin/conveyor', import.meta.url))
  expect(await realpath(linked)).toBe(bin)
  expect((await promisify(execFile)(linked, ['--version'])).stdout).toMatch(/^\d+\./)
  await mkdir(join(commands.dir, 'bin'))
  await copyFile(bin, join(commands.dir, 'bin', 'conveyor.mjs'))
  const failure = await promisify(execFile)(process.execPath, [
    join(commands.dir, 'bin', 'conveyor.mjs'),
  ]).catch(e => e)
  expect(failure).toMatchObject({
    code: 2,
    stderr: 'conveyor: not compiled yet: run `npm run build` first\n',
  })
})

test('doctor without Redis: exit code 3, and what else there is to find', async () => {
  const look = async (args: string) => {
    const command = conveyor(`doctor --json ${args}`)
    const { code } = await command.ended(PATIENCE)
    return { code, ...JSON.parse(command.output) }
  }
  expect(await look('--redis-url redis://127.0.0.1:1')).toMatchObject({
    code: 3,
    reachable: false,
    findings: 1,
  })
  await writeFile(join(commands.dir, 'file'), '')
  const found = await look('--redis-url redis://127.0.0.1:1 --output-dir file')
  expect(found).toMatchObject({ code: 3, findings: 2 })
})
