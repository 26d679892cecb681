import { createInterface } from 'node:readline/promises'
import { findExecutables } from './binary.ts'
import { runCommand } from './run-command.ts'

interface PackageManager {
  /** The executable that tells that this system has it. */
  name: string
  needsRoot: boolean
  /** The shell command that installs a server; `as` is what makes it root: `sudo ` or nothing. */
  install: (as: string) => string
}

/**
 * Debian and Ubuntu put the server's code into redis-tools, where it is called redis-check-rdb; their
 * redis-server package adds a link to it and a service that starts at once on port 6379, which no
 * variable keeps from doing so under systemd. So redis-tools it is: nothing of it ever runs by itself.
 * The others' packages start nothing. Package lists are fetched only where the first try fails.
 */
const MANAGERS: readonly PackageManager[] = [
  {
    name: 'apt-get',
    needsRoot: true,
    install: as => {
      // Another apt-get may be at work: machines that have just booted update themselves.
      const patient = `${as}apt-get -o DPkg::Lock::Timeout=60 install -y redis-tools`
      return `${patient} || (${as}apt-get update && ${as}apt-get install -y redis-tools)`
    },
  },
  { name: 'dnf', needsRoot: true, install: as => `${as}dnf install -y valkey || ${as}dnf install -y redis` },
  { name: 'yum', needsRoot: true, install: as => `${as}yum install -y valkey || ${as}yum install -y redis` },
  { name: 'apk', needsRoot: true, install: as => `${as}apk add -U valkey || ${as}apk add -U redis` },
  {
    name: 'pacman',
    needsRoot: true,
    install: as => `${as}pacman -S --noconfirm valkey || ${as}pacman -Sy --noconfirm valkey`,
  },
  {
    name: 'zypper',
    needsRoot: true,
    install: as => `${as}zypper -n install valkey || ${as}zypper -n install redis`,
  },
  { name: 'brew', needsRoot: false, install: () => 'brew install redis' },
]

export interface InstallPlan {
  /** The package manager's name. */
  manager: string
  /** The exact shell command, with `sudo` where it takes one. */
  command: string
  /** Whether a person must agree: all but root. */
  asks: boolean
  /** Why this user cannot run it; it can still be told. */
  hindrance?: string
}

/**
 * What would install a server on this system: by the first package manager on PATH that this user can
 * use, or else by the first one there is. Undefined when there is none.
 */
export async function planInstall(env: NodeJS.ProcessEnv, root: boolean): Promise<InstallPlan | undefined> {
  const onPath = async (name: string) => (await findExecutables(name, env)).length > 0
  const sudo = !root && (await onPath('sudo'))
  let unusable: InstallPlan | undefined
  for (const { name, needsRoot, install } of MANAGERS) {
    if (!(await onPath(name))) continue
    const command = install(needsRoot && sudo ? 'sudo ' : '')
    const plan = { manager: name, command, asks: !root }
    if (needsRoot ? root || sudo : !root) return plan
    unusable ??= { ...plan, hindrance: root ? 'does not work as root' : 'needs root, and there is no sudo' }
  }
  return unusable
}

/** Runs a plan; what it prints goes to `log`. Returns why it failed, or undefined when it did not. */
export async function runInstall(
  { command, manager }: InstallPlan,
  { env, log }: { env: NodeJS.ProcessEnv; log: (line: string) => void },
): Promise<string | undefined> {
  log(`running: ${command}`)
  const { ok, cause } = await runCommand('/bin/sh', ['-c', command], {
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
    log: line => log(`  ${manager}: ${line}`),
  })
  return ok ? undefined : cause
}

/** Asks a yes/no question on the terminal. Only `y` and `yes` mean yes; so end of input means no. */
export async function askOnTerminal(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const closed = new Promise<string>(resolve => terminal.once('close', () => resolve('')))
  // While a question is open the terminal is in raw mode, and Ctrl-C is only a key: make it a signal again.
  terminal.once('SIGINT', () => {
    terminal.close()
    process.kill(process.pid, 'SIGINT')
  })
  try {
    const answer = await Promise.race([terminal.question(`${question} [y/N] `).catch(() => ''), closed])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
