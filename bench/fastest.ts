import { type Bench, type Contender, inTurn } from './bench.ts'
import { described, type Peer, peerConsumeRound, peerProduceRound, type Setting } from './peers.ts'

type Role = 'consume' | 'produce'

/** Seconds that one round of a peer takes, about. */
const SECONDS = 6

/** Messages of a first attempt, and at most. */
const FEW = 5000
const MANY = 300_000

/**
 * The other queues as contenders, each on the setting that was the fastest of all just before, and a sentence about
 * each. How many messages it gets depends on how fast it is. Quick: a few, on the first of its settings.
 */
export async function peerContenders(
  bench: Bench,
  role: Role,
): Promise<{ contenders: Contender[]; notes: string[] }> {
  const contenders: Contender[] = []
  const notes: string[] = []
  for (const peer of bench.peers) {
    const settings = role === 'consume' ? peer.consumers : peer.producers
    const { setting, total } = bench.quick
      ? { setting: settings[0], total: FEW }
      : await fastest(bench, peer, role, settings)
    contenders.push({ name: peer.name, run: round => measure(bench, peer, role, round, total, setting) })
    notes.push(`${peer.name}: ${described(setting)}; ${total.toLocaleString('en-US')} messages.`)
  }
  return { contenders, notes: [...notes, ...bench.missing.map(sentence => `${sentence}.`)] }
}

async function fastest(
  bench: Bench,
  peer: Peer,
  role: Role,
  settings: readonly [Setting, ...Setting[]],
): Promise<{ setting: Setting; total: number }> {
  const found = await inTurn(
    { rounds: 1, progress: bench.progress },
    `${peer.name}, finding its fastest setting`,
    settings.map(setting => ({
      name: described(setting),
      run: async round => {
        const rate = await measure(bench, peer, role, `few${round}`, FEW, setting)
        return rate < FEW / 2 ? rate : measure(bench, peer, role, `more${round}`, messages(rate / 2), setting)
      },
    })),
  )
  const rates = found.map(({ values }) => values[0] as number)
  const best = Math.max(...rates)
  return { setting: settings[rates.indexOf(best)] as Setting, total: messages(best) }
}

/** How many take about as long as a round. */
function messages(rate: number): number {
  return Math.min(MANY, Math.max(FEW, Math.ceil((rate * SECONDS) / 1000) * 1000))
}

function measure(
  { redis }: Bench,
  peer: Peer,
  role: Role,
  round: string,
  total: number,
  setting: Setting,
): Promise<number> {
  const run = role === 'consume' ? peerConsumeRound : peerProduceRound
  return run(redis, peer, `bench_peer_${role}_${round}`, total, setting)
}
