import { setTimeout as sleep } from 'node:timers/promises'
import { MOST_SAMPLES } from '@conveyor/postgres'

/** Ms that the service may take to be ready, and between two looks. */
const WAIT = { most: 60_000, step: 100 }

/**
 * Spreads sample orders evenly over the tables of a source service, as soon as it is ready. Of ten, seven pass their
 * security check. Returns how many were added; rejects when the service is not ready within a minute.
 */
export async function fillSources(url: string, total: number, token?: string): Promise<number> {
  await ready(url)
  const { sources } = (await (await fetch(`${url}/sources`)).json()) as { sources: { name: string }[] }
  let left = total
  for (const [index, { name }] of sources.entries()) {
    for (let share = Math.ceil(left / (sources.length - index)); share > 0; share -= MOST_SAMPLES) {
      const count = Math.min(share, MOST_SAMPLES)
      const response = await fetch(`${url}/sources/${name}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ count, share: 0.7 }),
      })
      if (!response.ok) throw new Error(`sample orders cannot be added to ${name}: ${await response.text()}`)
      left -= count
    }
  }
  return total - left
}

async function ready(url: string): Promise<void> {
  const end = performance.now() + WAIT.most
  const look = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`the source service at ${url} is not ready`)
    await sleep(WAIT.step)
  }
}
