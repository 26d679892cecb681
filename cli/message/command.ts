import { Command, InvalidArgumentError, Option } from 'commander'
import { outputDir, withTarget } from '../options.ts'

/** A package number, or the id of an entry. */
function packageOrEntry(text: string): string {
  if (/^[1-9]\d{0,15}$/.test(text) || /^\d{1,15}-\d{1,15}$/.test(text)) return text
  throw new InvalidArgumentError(
    'A package number, such as 4711, or the id of an entry, <ms>-<seq>, is allowed.',
  )
}

/** `conveyor message`: where a package is, and what has happened to it. */
export function messageCommand(): Command {
  return withTarget(new Command('message'))
    .description('show where a package is and what has happened to it')
    .argument('<package>', 'its number, or the id of an entry that carries it', packageOrEntry)
    .addOption(outputDir())
    .addOption(
      new Option('--jaeger-url <url>', 'where Jaeger shows traces')
        .env('JAEGER_URL')
        .default('http://localhost:16686'),
    )
    .option('--json', 'print it as JSON', false)
    .addHelpText(
      'after',
      `
Its story is kept for a day, of packages with which something went wrong; with HISTORY=all, of every one.

Examples:
  conveyor message 4711
  conveyor message 1753553379123-0 --json
`,
    )
    .action(async (which: string, options) => {
      const { showMessage } = await import('./message.ts')
      process.exitCode = await showMessage(
        which,
        { outputDir: 'consumer_output', ...options },
        process.stdout,
      )
    })
}
