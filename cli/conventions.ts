import { createRequire } from 'node:module'
import { EXIT } from '@conveyor/service'
import type { Command } from 'commander'

const { version } = createRequire(import.meta.url)('../package.json') as { version: string }

/** Text for `addHelpText('after', …)`: examples, each with what it is for. */
export function examples(...all: [command: string, purpose: string][]): string {
  const width = Math.max(...all.map(([command]) => command.length))
  const lines = all.map(([command, purpose]) => `  conveyor ${command.padEnd(width)}  ${purpose}`)
  return `\nExamples:\n${lines.join('\n')}`
}

/**
 * What holds for the whole command, subcommands that were added whole included: `--version`, and a mistake in the
 * command line is one line on standard error, with a suggestion if there is one, and exit code 2.
 * To be called when all commands are there.
 */
export function applyConventions(program: Command): void {
  program
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(oneLine(text)) })
    .exitOverride(error => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage))
  inherit(program)
}

function inherit(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent)
    inherit(command)
  }
}

function oneLine(text: string): string {
  return text.includes('Usage:') ? text : `${text.trim().replaceAll('\n', ' ')}\n`
}

/**
 * A reader that has gone away, as in `| head`, is no error. A command that runs until it is interrupted takes it for
 * an interrupt; all others finish, and their exit code says what it would have said.
 */
export function surviveClosedOutput(): void {
  let gone = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    if (!gone) gone = process.emit('SIGINT') // false while nobody listens: the next line tries again
  })
}
