import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command, Option } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { completionScript, type Shell } from './completion.ts'

const run = promisify(execFile)

/** A program with all that a table must hold: levels, choices, and what shells would take for their own. */
function program(): Command {
  const root = new Command('tool').version('1').description('a tool')
  root
    .command('up')
    .description(`it's "quoted" | $(touch hacked) and: more`)
    .option('--rate <r>', 'how fast: \\ a second')
    .option('--fresh', 'anew')
  const letters = root.command('letters').description('nested')
  letters
    .command('list')
    .description('all')
    .addOption(new Option('--sort <by>', 'order').choices(['age', 'reason']))
  letters.command('show <id>').description('one')
  root.command('wait', { hidden: true })
  root.command('added-later').description('by somebody else')
  return root
}

const CASES: [line: string, offered: string[]][] = [
  ['', ['up', 'letters', 'added-later', 'help', '--version', '--help']],
  ['l', ['letters']],
  ['up --', ['--rate', '--fresh', '--help']],
  ['up --fresh --ra', ['--rate']],
  ['up --rate 5 --fr', ['--fresh']],
  ['letters ', ['list', 'show', 'help', '--help']],
  ['letters list --s', ['--sort']],
  ['letters list --sort ', ['age', 'reason']],
  ['up $(touch hacked) --fr', ['--fresh']],
]

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'conveyor-completion-'))
  for (const name of ['bash', 'zsh', 'fish'] as const) {
    await writeFile(join(dir, name), completionScript(program(), name))
  }
  await writeFile(join(dir, 'some-file'), '')
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const installed = await Promise.all(
  (['bash', 'zsh', 'fish'] as const).map(async shell => {
    const version = await run(shell, ['--version']).catch(() => undefined)
    return [shell, version !== undefined] as const
  }),
)

/** What a shell offers at the end of a command line, as the shell itself says. */
const ASK: Record<Shell, (line: string) => [command: string, args: string[]]> = {
  bash: line => [
    'bash',
    [
      '--norc',
      '-c',
      `source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tool; printf '%s\\n' "\${COMPREPLY[@]}"`,
      'bash',
      ...`tool ${line}`.split(' '),
    ],
  ],
  // Its completion needs a terminal; what it would be given is shown instead.
  zsh: line => [
    'zsh',
    [
      '-f',
      '-c',
      `compdef() {}; _files() { print -l FILES }
       compadd() { shift; print -l -- "$@" }
       _describe() { print -l -- "\${(@)\${(P@)2}%%:*}" }
       source ./zsh; words=("$@"); CURRENT=$#; _tool`,
      'zsh',
      ...`tool ${line}`.split(' '),
    ],
  ],
  fish: line => ['fish', ['--no-config', '-c', `source fish; complete -C '${`tool ${line}`}'`]],
}

/** What is typed for an option that takes anything, and what is offered: nothing has bash look for files by itself. */
const FILES: Record<Shell, [typed: string, found: string[]]> = {
  bash: ['', []],
  zsh: ['', ['FILES']],
  fish: ['some', ['some-file']],
}

async function offered(shell: Shell, line: string): Promise<string[]> {
  const { stdout, stderr } = await run(...ASK[shell](line), { cwd: dir })
  expect(stderr).toBe('')
  const words = stdout.split('\n').map(row => row.split('\t')[0] as string)
  const last = line.split(' ').at(-1) as string
  return words.filter(word => word !== '' && word.startsWith(last)).sort()
}

describe.each(installed)('%s', (shell, there) => {
  test.runIf(there).each(CASES)('tool %s', async (line, expected) => {
    expect(await offered(shell, line)).toEqual([...expected].sort())
  })

  test.runIf(there)('the value of an option may be a file', async () => {
    const [typed, found] = FILES[shell]
    expect(await offered(shell, `up --rate ${typed}`)).toEqual(found)
  })

  test.runIf(there)('nothing on the command line was run', async () => {
    const { stdout } = await run('ls', [dir])
    expect(stdout).not.toContain('hacked')
  })
})

test('bash completes file names where nothing else fits', () => {
  expect(completionScript(program(), 'bash')).toContain('complete -o default')
})
