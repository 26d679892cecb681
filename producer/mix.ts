import { packages, type Template } from '@conveyor/stream'

/** Types of packages, as the demonstration handler knows them. */
const TYPES = ['success', 'retry', 'fail', 'order', 'test', 'query'] as const
type Type = (typeof TYPES)[number]

/** How often each type comes, in relation to the others; in the order of the types, however it was written. */
export type Mix = readonly (readonly [type: Type, weight: number])[]

/** What the payload of a mixed package has besides its number. */
export type Payload =
  | { readonly type: Exclude<Type, 'order' | 'query'> }
  /** An arithmetic problem; one of some dozen has no answer. */
  | { readonly type: 'query'; readonly query: string }
  /** `attempts`: how many it needs; the sixth is one more than are usually allowed. */
  | { readonly type: 'order'; readonly security_check: boolean; readonly attempts: number }

/** A text that is no mix. The message says what is allowed. */
export class InvalidMix extends Error {
  constructor() {
    super(
      `${TYPES.join(', ')}, each once and with a weight above 0, as in success=90,retry=8,fail=2, are allowed`,
    )
    this.name = 'InvalidMix'
  }
}

/** Seeds are 0 to this. */
export const MOST_SEED = 2 ** 32 - 1

/** Reads a mix such as `success=90,retry=8,fail=2`. Throws {@link InvalidMix}. */
export function parseMix(text: string): Mix {
  const weights = new Map<Type, number>()
  for (const part of text.split(',')) {
    const [, name, digits] = /^([a-z]+)=(\d+(?:\.\d+)?)$/.exec(part) ?? []
    const type = TYPES.find(type => type === name)
    const weight = Number(digits)
    if (!type || weights.has(type) || !(weight > 0 && weight <= 1e9)) throw new InvalidMix()
    weights.set(type, weight)
  }
  return TYPES.flatMap(type => {
    const weight = weights.get(type)
    return weight === undefined ? [] : [[type, weight] as const]
  })
}

/** The text that {@link parseMix} reads. */
export function formatMix(mix: Mix): string {
  return mix.map(part => part.join('=')).join(',')
}

/**
 * What package `number` is: the same for the same mix, seed and number, and nothing else counts. An order passes its
 * security check in one case of two, and then needs 1 to 5 attempts; of four queries one divides, by 0 to 12.
 */
export function payloadOf(mix: Mix, seed: number, number: number): Payload {
  const chance = (n: number) => murmur3([number >>> 0, Math.floor(number / 2 ** 32), n], seed) / 2 ** 32
  const type = pick(mix, chance(0))
  if (type === 'query') return { type, query: problem(chance) }
  if (type !== 'order') return { type }
  const passes = chance(1) < 0.5
  return { type, security_check: passes, attempts: passes ? 1 + Math.floor(chance(2) * 5) : 6 }
}

function problem(chance: (n: number) => number): string {
  const operand = (n: number) => Math.floor(chance(n) * 13)
  return `${operand(1)} ${'+-*/'[Math.floor(chance(2) * 4)]} ${operand(3)}`
}

/** The packages `first` to `first + count - 1`; those that follow each other and are alike share a template. */
export function mixed(mix: Mix, seed: number, first: number, count: number, now = Date.now()): Template[] {
  const runs: { payload: Payload; count: number }[] = []
  for (let n = first; n < first + count; n++) {
    const payload = payloadOf(mix, seed, n)
    const last = runs.at(-1)
    if (last && areAlike(last.payload, payload)) last.count++
    else runs.push({ payload, count: 1 })
  }
  return runs.map(({ payload, count }) => packages(count, now, { ...payload }))
}

function areAlike(a: Payload, b: Payload): boolean {
  if (a.type !== b.type || a.type === 'query') return false
  return a.type !== 'order' || a.attempts === (b as typeof a).attempts
}

/** @param chance 0 to 1, 1 not included */
function pick(mix: Mix, chance: number): Type {
  let left = chance * mix.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [type, weight] of mix) {
    left -= weight
    if (left < 0) return type
  }
  return (mix.at(-1) as Mix[number])[0] // what rounding leaves
}

/**
 * MurmurHash3_x86_32 of 32-bit words: a hash and no generator, because package n must not depend on those before it.
 * Source: https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp (public domain).
 */
export function murmur3(words: readonly number[], seed: number): number {
  let hash = seed
  for (const word of words) {
    let k = Math.imul(word, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    hash ^= Math.imul(k, 0x1b873593)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  hash ^= words.length * 4
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
