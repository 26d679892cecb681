import type { Pool } from 'pg'

/** What a source was asked to send: the rows behind `after`, up to `upTo`. */
export interface SourceRun {
  readonly id: string
  /** Life of the stream that it is a run of. */
  readonly epoch: string
  readonly source: string
  /** Ids of rows, decimal digits. */
  readonly after: string
  readonly upTo: string
  readonly startedAt: Date
  readonly finishedAt: Date | null
}

const COLUMNS = `id, epoch, source, after_id AS after, up_to AS "upTo", started_at AS "startedAt",
  finished_at AS "finishedAt"`

/** The runs of a stream's sources, kept in PostgreSQL: whoever looks next goes on with them. */
export class SourceRuns {
  private readonly table: string

  /** @param pool whose tables `migrate` has made */
  constructor(
    private readonly pool: Pool,
    schema: string,
    private readonly stream: string,
  ) {
    this.table = `"${schema}".source_runs`
  }

  /** Begins one. It is finished at once when there is nothing to send. */
  async start(epoch: string, source: string, after: string, upTo: string): Promise<SourceRun> {
    const { rows } = await this.pool.query<SourceRun>(
      `INSERT INTO ${this.table} (stream, epoch, source, after_id, up_to, finished_at)
       VALUES ($1, $2, $3, $4, $5, CASE WHEN $5::bigint <= $4::bigint THEN clock_timestamp() END)
       RETURNING ${COLUMNS}`,
      [this.stream, epoch, source, after, upTo],
    )
    return rows[0] as SourceRun
  }

  /** @param id decimal digits */
  async find(source: string, id: string): Promise<SourceRun | undefined> {
    const { rows } = await this.pool.query<SourceRun>(
      `SELECT ${COLUMNS} FROM ${this.table} WHERE stream = $1 AND source = $2 AND id = $3`,
      [this.stream, source, id],
    )
    return rows[0]
  }

  /** The run of a source that was begun last. */
  async last(source: string): Promise<SourceRun | undefined> {
    const { rows } = await this.pool.query<SourceRun>(
      `SELECT ${COLUMNS} FROM ${this.table} WHERE stream = $1 AND source = $2 ORDER BY id DESC LIMIT 1`,
      [this.stream, source],
    )
    return rows[0]
  }

  /** Up to which row a source is to send in a life of the stream; undefined when all its runs are finished. */
  async goal(epoch: string, source: string): Promise<string | undefined> {
    const { rows } = await this.pool.query<{ goal: string | null }>(
      `SELECT max(up_to) AS goal FROM ${this.table}
       WHERE stream = $1 AND epoch = $2 AND source = $3 AND finished_at IS NULL`,
      [this.stream, epoch, source],
    )
    return rows[0]?.goal ?? undefined
  }

  /** Notes of all runs that end at `last` or before that they are finished. */
  async finish(epoch: string, source: string, last: string): Promise<void> {
    await this.pool.query(
      `UPDATE ${this.table} SET finished_at = clock_timestamp()
       WHERE stream = $1 AND epoch = $2 AND source = $3 AND up_to <= $4 AND finished_at IS NULL`,
      [this.stream, epoch, source, last],
    )
  }
}
