import { measureRecovery, recoveryHistogram } from '@conveyor/chaos'
import { expect, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 300_000 })

test('what a killed consumer held is committed by its peers, soon', async () => {
  const recovery = await measureRecovery({ kills: 5 })
  console.log(recoveryHistogram(recovery))
  expect(Math.max(...recovery.times)).toBeLessThan(10_000)
})
