import { Problem } from '@conveyor/service'
import type { LetterFilter as Wanted } from '@conveyor/stream'
import { z } from 'zod'

const whole = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const text = z.string().min(1).max(200)
const NAME = /^[A-Za-z0-9_-]{1,64}$/
const RANGE = /^(\d{1,16})(?:-(\d{1,16}))?$/

export const entryId = z.string().regex(/^\d{1,20}-\d{1,20}$/, 'an id such as 1795293061000-0 is allowed')
export const consumerId = z.string().regex(NAME, '1 to 64 of A-Z a-z 0-9 _ - are allowed')

/** `100-200`, or one number. */
export const range = z
  .string()
  .regex(RANGE, 'a range of package numbers such as 100-200 is allowed')
  .transform((value): readonly [number, number] => {
    const [, from, to = from] = RANGE.exec(value) ?? []
    return [Number(from), Number(to)]
  })
  .refine(([from, to]) => from <= to && Number.isSafeInteger(to), 'a range goes from the lower to the higher')

export const letterFilter = z
  .object({
    reason: z.array(text).max(20).optional(),
    error: text.optional(),
    minAge: whole.optional(),
    maxAge: whole.optional(),
    packages: range.optional(),
    minReplays: whole.optional(),
  })
  .transform(filter => filter as Wanted)

const id = { ids: z.array(entryId).min(1).max(1000) }
const all = { filter: letterFilter, count: z.number().int().min(0), through: entryId }
const more = {
  rate: z.number().positive().max(1_000_000).optional(),
  quarantined: z.boolean().optional(),
}
export const bulk = z.union([z.strictObject({ ...id, ...more }), z.strictObject({ ...all, ...more })])

export const letterQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: entryId.optional(),
})

export const pendingQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(200),
  consumer: consumerId.optional(),
})

export const searchQuery = z
  .object({
    packages: range.optional(),
    id: entryId.optional(),
    consumer: consumerId.optional(),
    state: z.enum(['committed', 'undelivered', 'pending', 'waiting', 'dead', 'purged']).optional(),
    text: z.string().min(2, '2 characters at least').max(100).optional(),
  })
  .refine(query => Object.values(query).some(value => value !== undefined), 'what is searched for is needed')

/** A value that came from outside, checked. Throws `Problem` 400, which names the field. */
export function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.join('.') ?? ''
  throw new Problem(400, `${path ? `${path}: ` : ''}${issue?.message ?? 'not valid'}`)
}

/** The parameters of a query; what is given several times is a list only for those that may be. */
export function parameters(url: string, lists: readonly string[] = []): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const [name, value] of new URL(url).searchParams) {
    if (value === '') continue
    if (lists.includes(name)) found[name] = [...((found[name] as string[] | undefined) ?? []), value]
    else found[name] = value
  }
  return found
}
