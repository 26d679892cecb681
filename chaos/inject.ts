import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.ts'

/** Handlers that fail, and what is loaded into a process to make it fail. */
export const FAILING_HANDLER = join(root, 'chaos/inject/failing-handler.mjs')
const PRELOAD = join(root, 'chaos/inject/fault-preload.mjs')
const HANDLER = join(root, 'chaos/inject/fault-handler.mjs')

/**
 * Where a process can be made to fail: at a command to Redis or a change in the output directory, by the names that
 * fault-preload.mjs gives them, such as `before commit` or `after rename link`.
 */
export type Step = `${'before' | 'amid' | 'after'} ${string}`

/** What happens there. `EIO`: the call fails, and what was written since the last good one is lost. */
export type Action = 'SIGKILL' | 'SIGSTOP' | 'EIO'

/**
 * Variables with which a process does this to itself at the `from`-th to `to`-th time that it gets there. Of a signal
 * it leaves word in its log: `SIGKILL before commit`.
 */
export function failAt(step: Step, from: number, action: Action = 'SIGKILL', to = from): NodeJS.ProcessEnv {
  return { NODE_OPTIONS: `--import=${PRELOAD}`, FAULT: JSON.stringify({ step, from, to, action }) }
}

/** Variables with which a process adds the name of each step that it takes to a file, a line each. */
export function noteSteps(file: string): NodeJS.ProcessEnv {
  return { NODE_OPTIONS: `--import=${PRELOAD}`, STEPS: file }
}

/** What the handler in fault-handler.mjs does; `package` names one, `nth` counts all that come. */
export type Handling =
  | { readonly does: 'SIGKILL' | 'SIGSTOP'; readonly nth: number }
  | { readonly does: 'block' | 'throw' | 'crash'; readonly package: number; readonly ms?: number }
  | { readonly does: 'wait'; readonly ms: number }

/** Variables with which a consumer uses that handler. `journal` gets a line for each start on `package`. */
export function handling(what: Handling, journal?: string): NodeJS.ProcessEnv {
  return { HANDLER, HANDLING: JSON.stringify({ ...what, journal }) }
}

/** The name by which Redis is asked to run a script of the library. */
export function sha(script: string): string {
  return createHash('sha1')
    .update(readFileSync(join(root, 'stream/lua', `${script}.lua`)))
    .digest('hex')
}
