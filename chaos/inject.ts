import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.ts'

/** Handlers that fail, and what is loaded into a process to make it fail. */
export const FAILING_HANDLER = join(root, 'chaos/inject/failing-handler.mjs')
const PRELOAD = join(root, 'chaos/inject/fault-preload.mjs')
const HANDLER = join(root, 'chaos/inject/fault-handler.mjs')

/** Where a consumer can be made to fail: around its writes to output files, or around a commit. */
export type Step = 'before write' | 'before datasync' | 'after datasync' | 'before commit' | 'after commit'

/** What happens there. `EIO`: the call fails, and what was written since the last good one is lost. */
export type Action = 'SIGKILL' | 'SIGSTOP' | 'EIO'

/** Variables with which a process does this to itself at the `from`-th to `to`-th time that it gets there. */
export function failAt(step: Step, from: number, action: Action = 'SIGKILL', to = from): NodeJS.ProcessEnv {
  return {
    NODE_OPTIONS: `--import=${PRELOAD}`,
    FAULT: JSON.stringify({ step, from, to, action, commit: sha('commit') }),
  }
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
