/**
 * Why handling failed, or why a message could not be handled at all: whatever of it becomes `error.type` is one of
 * these, so that there is an end to them. docs/telemetry.md says what each means.
 */
export const REASONS = [
  'handler failed',
  'handler timeout',
  'rejected',
  'invalid line',
  'invalid message',
  'refused by the sink',
  'too many deliveries',
  'payload missing',
  'no data',
  'unparseable',
  'no package number',
  'no timestamp',
] as const

export type Reason = (typeof REASONS)[number]

/** Those after which there may be another attempt. */
export const RETRIED: readonly Reason[] = ['handler failed', 'handler timeout']

/** As an `error.type`: what somebody else has written is `_OTHER`, as the conventions have it. */
export function errorTypeOf(reason: string): string {
  return REASONS.some(known => known === reason) ? reason : '_OTHER'
}
