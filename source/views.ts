import type { SourceRun } from '@conveyor/postgres'
import type { SourceState } from './source.ts'

/** A run as the API shows it. */
export interface RunView extends SourceRun {
  /** `abandoned`: the stream began a new life before it was finished. */
  readonly state: 'running' | 'done' | 'abandoned'
}

/** What `GET /sources` answers for each. */
export interface SourceView extends SourceState {
  readonly name: string
  readonly table: string
  /** Id of the last row that was sent in this life of the stream; null while Redis does not answer. */
  readonly lastRow: string | null
  /** Rows behind it, counted up to 1,000,000; null while that is not known. */
  readonly rowsWaiting: number | null
  readonly lastRun: RunView | null
}

/** What `GET /status` answers. */
export interface SourcesStatus {
  readonly epoch: string | null
  /** Last package number given out, by whoever appends to the stream. */
  readonly sequence: number
  /** Rows that this process has sent, as far as it was told. */
  readonly sent: number
  /** Packages that the slowest group has not been delivered. */
  readonly backlog: number
  readonly slowestGroup: string | null
  /** Whether nothing is sent because consumers are too far behind. */
  readonly backpressure: boolean
  readonly sources: Readonly<Record<string, SourceState>>
}

/** @param epoch the stream's present life, if that is known */
export function viewOf(run: SourceRun, epoch: string | undefined): RunView {
  const open = epoch === undefined || epoch === run.epoch ? 'running' : 'abandoned'
  return { ...run, state: run.finishedAt ? 'done' : open }
}
