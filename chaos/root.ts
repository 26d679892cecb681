import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))

/** The project's folder, also for what was compiled. */
export const root = dirname(basename(here) === 'dist' ? dirname(here) : here)

/** A service's compiled program: what a test of sources starts as a process too. */
export const program = (service: 'consumer' | 'producer') => join(root, service, 'dist', 'main.js')
