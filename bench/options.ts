import { Command, InvalidArgumentError, Option } from 'commander'
import { PARTS, type PartName } from './parts.ts'

export interface Options {
  readonly rounds: number
  readonly only?: PartName[]
  readonly quick: boolean
  readonly peers: boolean
  readonly json?: string
  readonly markdown?: string
  readonly docs: boolean
}

/** Reads the command line. A mistake is one line on standard error and exit code 2. */
export function parseOptions(): Options {
  return new Command('bench')
    .description(
      'Measures Conveyor beside bare Redis and other queues, on one Redis with appendfsync always, in turn',
    )
    .option('--rounds <n>', 'rounds of each comparison', wholeNumber, 5)
    .addOption(new Option('--only <part...>', 'only these parts').choices(Object.keys(PARTS)))
    .option('--quick', 'smaller amounts: a check that it runs, not a measurement', false)
    .option('--no-peers', 'without other queues, of which nothing is installed then')
    .option('--json <file>', 'also write all figures to a file')
    .option('--markdown <file>', 'also write the tables to a file')
    .option('--docs', 'also write the tables into docs/performance.md, and the picture beside it', false)
    .configureOutput({ outputError: (text, write) => write(`${text.trim().replaceAll('\n', ' ')}\n`) })
    .exitOverride(error => process.exit(error.exitCode === 0 ? 0 : 2))
    .allowExcessArguments(false)
    .parse()
    .opts<Options>()
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > 1000)
    throw new InvalidArgumentError('A whole number from 1 to 1000 is allowed.')
  return value
}
