import { quantile } from '@conveyor/chaos'

/** The middle value; of an even number the mean of the two. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** Median and, of several, extremes, for people. */
export function spread(values: number[], digits = 0): string {
  const text = (value: number) =>
    value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  if (values.length === 1) return text(values[0] as number)
  return `${text(median(values))} (${text(Math.min(...values))} to ${text(Math.max(...values))})`
}

/** Median and quartiles, for people: where one in two values lies. */
export function typical(values: number[], digits = 0): string {
  const [low, high] = [quantile(values, 0.25), quantile(values, 0.75)]
  return `${median(values).toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`
}
