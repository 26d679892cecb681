import { now } from './clock.ts'

/** When packages, which come in the order of their numbers, reached a stage; ms of the common clock. */
export class Stage {
  readonly times: number[] = []

  /** How many have reached it. */
  get done(): number {
    return this.times.length
  }

  /** All up to this many reach it now. */
  reach(packages: number): void {
    for (const time = now(); this.times.length < packages; ) this.times.push(time)
  }
}
