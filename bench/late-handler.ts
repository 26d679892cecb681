import { type Handler, RetryLater } from '@conveyor/stream'

/** Ms that the first package is put off. */
export const FIRST = 8000

/** Puts each package off once, so that package after package is due a millisecond after the one before. */
const handler: Handler = ({ package: number, attempt }) => {
  if (attempt === 1) throw new RetryLater(FIRST + number)
}

export default handler
