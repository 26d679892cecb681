import type { Pipeline, ServiceProcess } from '@conveyor/chaos'

/** A consumer that is started again when a signal has ended it. */
export interface Supervised {
  readonly current: ServiceProcess
  /** How often it was started. */
  readonly starts: number
}

/** Keeps a consumer running until it is asked to finish, or ends by itself. */
export function supervise(pipeline: Pipeline, id: string, env: NodeJS.ProcessEnv = {}): Supervised {
  let starts = 0
  const start = (): ServiceProcess => {
    starts++
    const process = pipeline.consumer(id, env)
    void process.exited.then(({ signal }) => {
      if (signal !== null && !pipeline.closed) current = start()
    })
    return process
  }
  let current = start()
  return {
    get current() {
      return current
    },
    get starts() {
      return starts
    },
  }
}
