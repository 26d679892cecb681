import { writeFile } from 'node:fs/promises'
import { expect, test, vi } from 'vitest'
import { measureRecovery, recoveryHistogram } from './recovery.ts'

/** The bench asks for more kills, and for the histogram in a file. */
const { RECOVERY_KILLS: kills = '5', RECOVERY_REPORT: report } = process.env

vi.setConfig({ testTimeout: 120_000 + Number(kills) * 20_000 })

test('what a killed consumer held is committed by its peers, soon', async () => {
  const recovery = await measureRecovery({ kills: Number(kills) })
  const histogram = recoveryHistogram(recovery)
  console.log(histogram)
  if (report) await writeFile(report, `${histogram}\n`)
  expect(Math.max(...recovery.times)).toBeLessThan(10_000)
})
