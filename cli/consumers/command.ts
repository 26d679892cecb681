import { checkName, InvalidName } from '@conveyor/stream'
import { Command, InvalidArgumentError } from 'commander'
import { examples } from '../conventions.ts'
import { withTarget } from '../options.ts'

const DOES = {
  pause: 'have a consumer finish what it has and take nothing more, until it is resumed',
  resume: 'have a paused consumer go on',
  drain: 'have a consumer finish what it has, and end',
} as const

/** `conveyor consumers`: tells consumers what to do, wherever they run. */
export function consumersCommand(): Command {
  const consumers = new Command('consumers')
    .description('pause, resume or drain consumers, wherever they run')
    .addHelpText('after', examples(['consumers pause c1', 'c1 takes nothing more']))
  for (const what of ['pause', 'resume', 'drain'] as const) {
    withTarget(consumers.command(what))
      .description(DOES[what])
      .argument('<id>', 'id of the consumer', consumerId)
      .addHelpText('after', examples([`consumers ${what} c1`, 'wherever c1 runs']))
      .action(async (id: string, options) => {
        const { tellConsumer } = await import('./tell.ts')
        process.exitCode = await tellConsumer(what, id, options)
      })
  }
  return consumers
}

function consumerId(text: string): string {
  try {
    return checkName('consumer id', text)
  } catch (error) {
    if (error instanceof InvalidName)
      throw new InvalidArgumentError('1 to 64 of A-Z a-z 0-9 _ - are allowed.')
    throw error
  }
}
