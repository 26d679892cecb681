import type { TestProject } from 'vitest/node'
import { type Binaries, findBinaries } from './binaries.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Undefined when they are not there and cannot be built. */
    binaries: Binaries | undefined
  }
}

/** Finds or builds the programs of the stack, once for all test files. */
export default async function setup(project: TestProject): Promise<void> {
  project.provide('binaries', await findBinaries(line => process.stderr.write(`stack: ${line}\n`)))
}
