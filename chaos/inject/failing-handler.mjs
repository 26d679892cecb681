/** Fails now and then: one package in 50 up to three times, one in 1,000 until it was replayed twice. */
export default ({ package: number, attempt, replays }) => {
  if (number % 1000 === 0 && replays < 2) throw new Error('until it was replayed twice')
  if (number % 50 === 0 && attempt <= 1 + ((number / 50) % 3)) throw new Error(`attempt ${attempt}`)
}
