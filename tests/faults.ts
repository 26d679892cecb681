import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = (name: string) => new URL(name, import.meta.url)

/** Where a consumer can be made to fail: around its writes to output files, or around a commit. */
export type Step = 'before write' | 'before datasync' | 'after datasync' | 'before commit' | 'after commit'

/** What happens there. `EIO`: the call fails, and what was written since the last good one is lost. */
export type Action = 'SIGKILL' | 'SIGSTOP' | 'EIO'

/** Variables with which a process does this to itself at the `from`-th to `to`-th time that it gets there. */
export function failAt(step: Step, from: number, action: Action = 'SIGKILL', to = from): NodeJS.ProcessEnv {
  return {
    NODE_OPTIONS: `--import=${file('fault-preload.mjs')}`,
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
  return {
    HANDLER: fileURLToPath(file('fault-handler.mjs')),
    HANDLING: JSON.stringify({ ...what, journal }),
  }
}

/** The name by which Redis is asked to run a script of the library. */
export function sha(script: string): string {
  return createHash('sha1')
    .update(readFileSync(file(`../stream/lua/${script}.lua`)))
    .digest('hex')
}
