import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))

/** The project's folder, also for what was compiled. */
export const root = dirname(basename(here) === 'dist' ? dirname(here) : here)

/** Services that run as processes. */
export type ServiceName = 'consumer' | 'producer' | 'rabbitmq' | 'source'

/** A service's compiled program: what a test of sources starts as a process too. */
export const program = (service: ServiceName) => join(root, service, 'dist', 'main.js')
