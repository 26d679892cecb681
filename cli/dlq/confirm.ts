import { createInterface } from 'node:readline/promises'
import { ConfigError } from '@conveyor/service'

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { isTTY?: boolean }
  readonly output: NodeJS.WritableStream & { isTTY?: boolean }
}

const terminal: Terminal = { input: process.stdin, output: process.stderr }

export function isTerminal({ input, output }: Terminal = terminal): boolean {
  return Boolean(input.isTTY && output.isTTY)
}

/** Throws `ConfigError` when nobody could be asked. */
export function demandTerminal(at: Terminal = terminal): void {
  if (!isTerminal(at))
    throw new ConfigError('there is no terminal to ask in: say --yes, or look with --dry-run')
}

/** Asks in the terminal. Everything but y and yes is no; Ctrl-C, Ctrl-D and being stopped too. */
export async function confirmed(
  question: string,
  stop: AbortSignal,
  { input, output }: Terminal = terminal,
): Promise<boolean> {
  const asking = createInterface({ input, output })
  const closed = new Promise<undefined>(resolve => asking.once('close', () => resolve(undefined)))
  const close = () => asking.close()
  asking.once('SIGINT', close)
  stop.addEventListener('abort', close, { once: true })
  try {
    const answer = await Promise.race([asking.question(`${question} [y/N] `), closed])
    if (answer === undefined) output.write('\n')
    return /^y(es)?$/i.test(answer?.trim() ?? '')
  } finally {
    stop.removeEventListener('abort', close)
    close()
  }
}
