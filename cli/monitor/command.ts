import { Command, InvalidArgumentError } from 'commander'
import { examples } from '../conventions.ts'
import { withBeats, withTarget } from '../options.ts'

function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || value < 0.2 || value > 3600)
    throw new InvalidArgumentError('Seconds from 0.2 to 3600 are allowed.')
  return value
}

export function monitorCommand(): Command {
  const command = new Command('monitor').description('watch the stream, the group and its consumers live')
  return withBeats(withTarget(command))
    .option('--once', 'look for a second, print, end', false)
    .option('--json', 'print JSON: one document with --once, else one a line', false)
    .option('--interval <seconds>', 'between two looks', seconds, 1)
    .addHelpText(
      'after',
      examples(
        ['monitor', 'live, until Ctrl-C'],
        ['monitor --once', 'one look, for a person'],
        ['monitor --once --json', 'one look, for a program; exit code 3 when Redis is away'],
        ['monitor --json --interval 10', 'a line of JSON every 10 seconds'],
      ),
    )
    .action(async options => {
      const { monitor } = await import('./monitor.ts')
      process.exit(await monitor(options, process.stdout))
    })
}
