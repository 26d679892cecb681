import type { Part } from './bench.ts'
import { consume } from './consume.ts'
import { growth } from './growth.ts'
import { history } from './history.ts'
import { ingest } from './ingest.ts'
import { ladder } from './ladder.ts'
import { latency } from './latency.ts'
import { produce } from './produce.ts'
import { profile } from './profile.ts'
import { retries } from './retries.ts'
import { memory } from './soak.ts'
import { store } from './store.ts'
import { telemetry } from './telemetry.ts'
import { recovery } from './time-to-recover.ts'
import { trimming } from './trim-pause.ts'

/** All that can be measured, in this order. */
export const PARTS = {
  consume,
  produce,
  ingest,
  postgres: store,
  latency,
  ladder,
  growth,
  profile,
  retries,
  history,
  telemetry,
  trim: trimming,
  memory,
  recovery,
} satisfies Record<string, Part>

export type PartName = keyof typeof PARTS

/** Those that need what is in peers/. */
export const PEERED: readonly PartName[] = ['consume', 'produce', 'ingest', 'profile', 'recovery']
