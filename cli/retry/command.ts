import { Command } from 'commander'
import { examples } from '../conventions.ts'
import { wholeNumber, withTarget } from '../options.ts'

/** `conveyor retry`: has a package that waits for another attempt be tried at once. */
export function retryCommand(): Command {
  return withTarget(new Command('retry'))
    .description('try a package now that waits for another attempt')
    .argument('<package>', 'its number', wholeNumber(1))
    .addHelpText('after', examples(['retry 4711', 'without waiting any longer']))
    .action(async (number: number, options) => {
      const { retryPackage } = await import('./retry.ts')
      process.exitCode = await retryPackage(number, options)
    })
}
