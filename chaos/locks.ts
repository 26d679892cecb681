/** Keeps faults apart that cannot happen to one thing at once. */
export class Locks {
  private readonly last = new Map<string, Promise<void>>()

  /** Runs `work` when nobody else uses any of `names`; first come, first served. */
  async hold<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const releases: (() => void)[] = []
    // Always in the same order, so that no two wait for each other.
    for (const name of [...new Set(names)].sort()) releases.push(await this.take(name))
    try {
      return await work()
    } finally {
      for (const release of releases) release()
    }
  }

  private async take(name: string): Promise<() => void> {
    const before = this.last.get(name)
    let release = () => {}
    this.last.set(
      name,
      new Promise(resolve => {
        release = resolve
      }),
    )
    await before
    return release
  }
}
