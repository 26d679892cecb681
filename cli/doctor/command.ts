import { Command } from 'commander'
import { examples } from '../conventions.ts'
import { outputDir, withBeats, withTarget } from '../options.ts'

export function doctorCommand(): Command {
  const command = new Command('doctor').description('check Redis, the stream and the output directory')
  return withBeats(withTarget(command))
    .addOption(outputDir())
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      examples(
        ['doctor', 'what is wrong, and how to mend it'],
        ['doctor --redis-url redis://10.0.0.5:6379', 'before the first run on a Redis of yours'],
        ['doctor --json', 'for a program; exit code 0 fine, 1 findings, 3 Redis is away'],
      ),
    )
    .action(async options => {
      const { doctor } = await import('./doctor.ts')
      process.exit(await doctor(options, process.stdout))
    })
}
