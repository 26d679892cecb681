import { type Bench, type Contender, inTurn } from './bench.ts'
import { described, type Peer, peerConsumeRound, peerProduceRound, type Setting } from './peers.ts'
import { median } from './statistics.ts'

/**
 * The other queues as contenders, each on the setting that was the fastest of all in one attempt at a tenth of the
 * messages, and a sentence about each setting. Quick: on the first of its settings.
 */
export async function peerContenders(
  bench: Bench,
  role: 'consume' | 'produce',
  total: number,
): Promise<{ contenders: Contender[]; notes: string[] }> {
  const contenders: Contender[] = []
  const notes: string[] = []
  for (const peer of bench.peers) {
    const settings = role === 'consume' ? peer.consumers : peer.producers
    const setting = bench.quick ? settings[0] : await fastest(bench, peer, role, settings, total / 10)
    contenders.push({ name: peer.name, run: round => measure(bench, peer, role, round, total, setting) })
    notes.push(`${peer.name}: ${described(setting)}.`)
  }
  return { contenders, notes: [...notes, ...bench.missing.map(sentence => `${sentence}.`)] }
}

async function fastest(
  bench: Bench,
  peer: Peer,
  role: 'consume' | 'produce',
  settings: readonly [Setting, ...Setting[]],
  total: number,
): Promise<Setting> {
  const found = await inTurn(
    { rounds: 1, progress: bench.progress },
    `${peer.name}, finding its fastest setting`,
    settings.map(setting => ({
      name: described(setting),
      run: round => measure(bench, peer, role, `try${round}`, total, setting),
    })),
  )
  const rates = found.map(({ values }) => median([...values]))
  return settings[rates.indexOf(Math.max(...rates))] as Setting
}

function measure(
  { redis }: Bench,
  peer: Peer,
  role: 'consume' | 'produce',
  round: string,
  total: number,
  setting: Setting,
): Promise<number> {
  const run = role === 'consume' ? peerConsumeRound : peerProduceRound
  return run(redis, peer, `bench_peer_${role}_${round}`, total, setting)
}
