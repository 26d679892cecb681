import { type Handler, Reject } from '@conveyor/stream'

/** Attempts that an order needs whose security check fails: one more than are usually allowed. */
const NEVER_ENOUGH = 6

/**
 * A demonstration of what can become of a package, by what its payload says:
 *
 * - `type: "test"` and `"success"` succeed, and so does what has neither type nor check;
 * - `type: "retry"` fails `fails` times (default 2) before it succeeds;
 * - `type: "fail"` never succeeds;
 * - `security_check: true`, as an order has it, succeeds with the attempt that `attempts` names (1 to 5); of an order
 *   that names none, it is 1 + its `id` modulo 5, or its package number in place of an id;
 *   `false` needs six, so it is dead after the five that are usually allowed;
 * - `query: "6 * 7"` is answered with `{"query": "6 * 7", "result": 42}`, which goes to the next stream if there is
 *   one; what is no problem, or has no answer, is rejected;
 * - any other type, and an order without a check, is rejected.
 *
 * Of what came by HTTP it is the body that says so.
 */
const demo: Handler = ({ payload, package: number }, { attempt }) => {
  const said = saidBy(payload)
  if (said.query !== undefined) return { query: said.query, result: answer(said.query) }
  const needed = attemptsNeeded(said, number)
  if (attempt < needed) {
    throw new Error(
      needed === Number.POSITIVE_INFINITY
        ? 'this package always fails'
        : `attempt ${attempt} of the ${needed} that it needs`,
    )
  }
  return undefined
}

const PROBLEM = /^\s*(-?\d+(?:\.\d+)?)\s*([-+*/])\s*(-?\d+(?:\.\d+)?)\s*$/

function answer(query: unknown): number {
  const [, a, operator, b] = PROBLEM.exec(String(query)) ?? []
  if (operator === undefined)
    throw new Reject(
      `query ${JSON.stringify(query)}: two numbers with one of + - * / between them are allowed`,
    )
  const [x, y] = [Number(a), Number(b)]
  if (operator === '/' && y === 0)
    throw new Reject(`query ${JSON.stringify(query)}: nothing can be divided by 0`)
  return { '+': x + y, '-': x - y, '*': x * y, '/': x / y }[operator] as number
}

type Said = Readonly<Record<string, unknown>>

function saidBy(payload: Said): Said {
  const { body } = payload
  return typeof body === 'object' && body !== null ? (body as Said) : payload
}

function attemptsNeeded({ type, fails, security_check: check, attempts, id }: Said, number: number) {
  if (typeof check === 'boolean')
    return check ? numberFrom(attempts, 'attempts', usual(id, number)) : NEVER_ENOUGH
  switch (type) {
    case undefined:
    case 'test':
    case 'success':
      return 1
    case 'retry':
      return numberFrom(fails, 'fails', 2) + 1
    case 'fail':
      return Number.POSITIVE_INFINITY
    case 'order':
      throw new Reject(`security_check ${JSON.stringify(check)}: true or false is allowed`)
    default:
      throw new Reject(`type ${JSON.stringify(type)}: test, success, retry, fail or order is allowed`)
  }
}

/** Attempts that an order needs which names none: 1 to 5, the same whenever it comes. */
function usual(id: unknown, number: number): number {
  return 1 + ((Number.isSafeInteger(id) && (id as number) >= 0 ? (id as number) : number) % 5)
}

function numberFrom(value: unknown, name: string, otherwise: number): number {
  if (value === undefined) return otherwise
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new Reject(`${name} ${JSON.stringify(value)}: a whole number is allowed`)
}

export default demo
