import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const vitest = join(createRequire(import.meta.url).resolve('vitest/package.json'), '../vitest.mjs')

/**
 * Kills consumers under load and returns the histogram of how long their entries waited for another one.
 * The harness that starts, kills and checks processes is the fault tests'; so this runs their test, with
 * more kills. Rejects when a package was lost or doubled.
 */
export async function measureRecovery(kills: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'conveyor-recovery-'))
  const report = join(folder, 'report.txt')
  try {
    const env = { ...process.env, RECOVERY_KILLS: String(kills), RECOVERY_REPORT: report }
    await promisify(execFile)(process.execPath, [vitest, 'run', 'tests/recovery.test.ts'], { cwd: root, env })
    return (await readFile(report, 'utf8')).trim()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
