import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FindOptions, findRedisServer, RedisNotFound } from './find.ts'

/** A folder with `bin`, the only thing on PATH, and `calls`, to which stand-ins write what they were told. */
let home: string
let log: string[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'find-redis-'))
  log = []
  await mkdir(join(home, 'bin'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

/** Puts a shell script on PATH. In it, `server NAME VERSION` puts a server on PATH. */
async function stand(name: string, script: string, folder = 'bin'): Promise<string> {
  const path = join(home, folder, name)
  await mkdir(join(home, folder), { recursive: true })
  const server = `server() { printf '#!/bin/sh\\necho Server v=%s sha=0\\n' "$2" >${home}/bin/$1; /bin/chmod +x ${home}/bin/$1; }`
  await writeFile(path, `#!/bin/sh\n${server}\n${script}\n`, { mode: 0o755 })
  return path
}

/** Puts a stand-in on PATH that notes how it was called before it does anything else. */
const standCalled = (name: string, script: string) =>
  stand(name, `echo "${name} $*" >>${home}/calls\n${script}`)

const calls = async () => (await readFile(join(home, 'calls'), 'utf8')).trimEnd().split('\n')

const find = (options: FindOptions = {}) =>
  findRedisServer({
    cacheDir: join(home, 'cache'),
    env: { PATH: join(home, 'bin') },
    folders: [],
    interactive: false,
    root: false,
    log: line => log.push(line),
    ask: () => Promise.reject(new Error('asked')),
    ...options,
  })

async function failure(options?: FindOptions): Promise<RedisNotFound> {
  const error = await find(options).then(
    binary => binary,
    (thrown: unknown) => thrown,
  )
  if (error instanceof RedisNotFound) return error
  throw new Error(`expected RedisNotFound, got ${JSON.stringify(error)}`, { cause: error })
}

describe('on PATH', () => {
  test('a redis-server is taken as it is', async () => {
    const path = await stand('redis-server', 'echo "Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64"')
    expect(await find()).toEqual({ path, version: '7.2.4', kind: 'redis' })
    expect(log).toEqual([])
  })

  test('so is a valkey-server', async () => {
    const path = await stand('valkey-server', 'echo "Valkey server v=8.1.1 sha=00000000:0"')
    expect(await find()).toEqual({ path, version: '8.1.1', kind: 'valkey' })
  })

  test('a redis-server that is a Valkey in disguise is called one', async () => {
    await stand('redis-server', 'echo "Valkey server v=8.1.1 sha=00000000:0"')
    expect(await find()).toMatchObject({ kind: 'valkey' })
  })

  test('one that is too old is named, and the next one taken', async () => {
    const old = await stand('redis-server', 'echo "Redis server v=6.2.14 sha=0"')
    const path = await stand('redis-server', 'echo "Redis server v=10.0.1 sha=0"', 'elsewhere')
    expect(await find({ folders: [join(home, 'elsewhere')] })).toMatchObject({ path, version: '10.0.1' })
    expect(log).toEqual([`${old}: version 6.2.14 is too old`])
  })

  test('a redis-server that is no server is passed over', async () => {
    await stand('redis-server', 'echo hello')
    await stand('valkey-server', 'echo Server v=8.0.0')
    expect(await find()).toMatchObject({ version: '8.0.0', kind: 'valkey' })
  })

  test('a server that is installed as redis-check-rdb only is called by the right name', async () => {
    const checker =
      'case "$0" in */redis-server) echo Redis server v=7.0.15 sha=0 ;; *) echo Usage >&2; exit 1 ;; esac'
    await stand('redis-check-rdb', checker)
    const found = { path: join(home, 'cache/redis-link/redis-server'), version: '7.0.15', kind: 'redis' }
    expect(await Promise.all([find(), find()])).toEqual([found, found])
    expect(await find()).toEqual(found)
  })
})

describe('from the package manager', () => {
  test('apt-get, as root, fetches its lists only when it must, and is not asked about', async () => {
    const missing = 'echo "E: Unable to locate package redis-tools" >&2; exit 100'
    await standCalled(
      'apt-get',
      `case "$*" in
        update) : >${home}/lists ;;
        *) [ -e ${home}/lists ] || { ${missing}; }; echo "$DEBIAN_FRONTEND"; server redis-server 7.0.15 ;;
      esac`,
    )
    expect(await find({ root: true })).toMatchObject({ version: '7.0.15' })
    expect(await calls()).toEqual([
      'apt-get -o DPkg::Lock::Timeout=60 install -y redis-tools',
      'apt-get update',
      'apt-get install -y redis-tools',
    ])
    expect(log).toContain('  apt-get: noninteractive')
  })

  test('dnf has Valkey or Redis, depending on its age', async () => {
    await standCalled(
      'dnf',
      'case "$*" in *valkey) echo "No match for argument: valkey"; exit 1 ;; esac; server redis-server 7.2.1',
    )
    expect(await find({ root: true })).toMatchObject({ version: '7.2.1' })
    expect(await calls()).toEqual(['dnf install -y valkey', 'dnf install -y redis'])
  })

  test.each([
    ['yum', 'yum install -y valkey'],
    ['apk', 'apk add -U valkey'],
    ['pacman', 'pacman -S --noconfirm valkey'],
    ['zypper', 'zypper -n install valkey'],
  ])('%s', async (name, call) => {
    await standCalled(name, 'server valkey-server 8.0.1')
    expect(await find({ root: true })).toMatchObject({ version: '8.0.1', kind: 'valkey' })
    expect(await calls()).toEqual([call])
  })

  test('a plain user is shown the exact command and asked, and it runs as shown', async () => {
    await standCalled('apt-get', 'server redis-server 7.0.15')
    await standCalled('sudo', 'exec "$@"')
    let question = ''
    const ask = async (text: string) => {
      question = text
      return true
    }
    expect(await find({ interactive: true, ask })).toMatchObject({ version: '7.0.15' })
    const command = 'sudo apt-get -o DPkg::Lock::Timeout=60 install -y redis-tools'
    expect(question).toContain(
      `\n  ${command} || (sudo apt-get update && sudo apt-get install -y redis-tools)\n`,
    )
    expect((await calls())[0]).toBe(command)
  })

  test('whoever says no is told the command at the end', async () => {
    await standCalled('apt-get', '')
    await standCalled('sudo', 'exec "$@"')
    const error = await failure({ interactive: true, ask: async () => false })
    expect(error.tried).toContain('apt-get: declined')
    expect(error.command).toMatch(/^sudo apt-get .*redis-tools/)
    expect(existsSync(join(home, 'calls'))).toBe(false)
  })

  test('without a terminal nothing runs as another user', async () => {
    await standCalled('apt-get', '')
    await standCalled('sudo', 'exec "$@"')
    const error = await failure()
    expect(error.tried).toContain('apt-get: not run, there is no terminal to ask on')
    expect(error.message).toContain('Install one:\n  sudo apt-get')
    expect(error.message).toMatch(/REDIS_URL=redis:\/\/host:6379$/)
    expect(existsSync(join(home, 'calls'))).toBe(false)
  })

  test('Homebrew needs a question but no sudo, and refuses root', async () => {
    await standCalled('brew', 'server redis-server 8.2.1')
    const refused = await failure({ root: true })
    expect(refused.tried).toContain('brew: does not work as root')
    expect(refused.command).toBe('brew install redis')
    expect(await find({ interactive: true, ask: async () => true })).toMatchObject({ version: '8.2.1' })
    expect(await calls()).toEqual(['brew install redis'])
  })

  test('a user without sudo is offered Homebrew rather than apt-get', async () => {
    await standCalled('apt-get', '')
    const hindered = await failure()
    expect(hindered.tried).toContain('apt-get: needs root, and there is no sudo')
    await standCalled('brew', 'server redis-server 8.2.1')
    expect(await find({ interactive: true, ask: async () => true })).toMatchObject({ version: '8.2.1' })
  })

  test('what it says when it fails is in the message', async () => {
    await stand('apt-get', 'echo "E: Could not get lock /var/lib/dpkg/lock-frontend" >&2; exit 100')
    const error = await failure({ root: true })
    expect(error.tried).toContain('apt-get: E: Could not get lock /var/lib/dpkg/lock-frontend')
  })

  test('a package that is too old is named, and no longer advised', async () => {
    await stand('apt-get', 'server redis-server 6.0.16')
    const error = await failure({ root: true })
    expect(error.tried).toContain(`${join(home, 'bin/redis-server')}: version 6.0.16 is too old`)
    expect(error.tried).toContain('apt-get: it brought no server that is new enough')
    expect(error.command).toBeUndefined()
    expect(error.message).toContain('Install one and start again')
  })
})

describe('from source', () => {
  /** Stands in for npm: installs a builder whose getPath does what is said. */
  const npm = (getPath: string) =>
    stand(
      'npm',
      `echo "$*" >>${home}/calls
      prefix=$3 module=$3/node_modules/redis-memory-server
      /bin/mkdir -p "$module"
      printf '%s' '${getPath}' >"$module/index.js"`,
    )
  const tools = () => Promise.all([stand('make', ''), stand('cc', '')])

  test('the tools that are missing are named', async () => {
    expect((await failure()).tried).toContain('building from source: npm and make and gcc are missing')
    await stand('npm', '')
    await stand('make', '')
    expect((await failure()).tried).toContain('building from source: gcc is missing')
  })

  test('the registry out of reach is said', async () => {
    await tools()
    const reason = 'request to https://registry.npmjs.org/ failed, reason: getaddrinfo ENOTFOUND'
    await stand(
      'npm',
      `echo "npm error code ENOTFOUND"; echo "npm error network ${reason}"; echo bye; exit 1`,
    )
    expect((await failure()).tried.at(-1)).toBe(
      `building from source: npm install redis-memory-server@0.17.1: npm error network ${reason}`,
    )
  })

  test('the download out of reach is said, and leaves nothing behind but the folder', async () => {
    await tools()
    await npm(
      'exports.RedisBinary = { getPath: async () => { throw new Error("getaddrinfo ENOTFOUND download.redis.io") } }',
    )
    const error = await failure()
    expect(error.tried).toEqual([
      'PATH: neither redis-server nor valkey-server',
      'package manager: none is known here',
      'building from source: getaddrinfo ENOTFOUND download.redis.io',
    ])
    expect(await calls()).toEqual([
      expect.stringMatching(
        /^install --prefix \S+ --ignore-scripts --no-save .*redis-memory-server@0\.17\.1$/,
      ),
    ])
    expect(await readdir(join(home, 'cache/redis-build'))).toEqual([])
  })

  test('the server is kept for the next time, and built over a verified connection', async () => {
    await tools()
    await npm(`
      const { mkdirSync, writeFileSync } = require("fs")
      const { REDISMS_DOWNLOAD_DIR, REDISMS_VERSION, npm_config_strict_ssl } = process.env
      exports.RedisBinary = { getPath: async () => {
        if (npm_config_strict_ssl !== "true") throw new Error("not verified")
        const folder = REDISMS_DOWNLOAD_DIR + "/" + REDISMS_VERSION
        mkdirSync(folder, { recursive: true })
        writeFileSync(folder + "/redis-server", "#!/bin/sh\\necho Redis server v=" + REDISMS_VERSION + "\\n", { mode: 0o755 })
      } }`)
    const path = join(home, 'cache/redis-build/redis-server-7.2.11')
    expect(await find()).toEqual({ path, version: '7.2.11', kind: 'redis' })
    expect(log).toContain('downloading and compiling Redis 7.2.11; this takes a minute or two')
    log = []
    expect(await find()).toEqual({ path, version: '7.2.11', kind: 'redis' })
    expect(log).toEqual([])
  })
})

test('on this system it finds or installs a server', async () => {
  const binary = await findRedisServer({ cacheDir: join(home, 'cache'), interactive: false })
  expect(Number.parseFloat(binary.version)).toBeGreaterThanOrEqual(7)
}, 600_000)
