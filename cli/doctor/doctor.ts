import { type DiagnoseOptions, type Diagnosis, diagnose } from '@conveyor/doctor'
import { EXIT } from '@conveyor/service'
import { type Colors, colorsOf } from '../colors.ts'
import { print } from '../print.ts'

export interface DoctorOptions extends DiagnoseOptions {
  readonly json: boolean
}

/**
 * Looks at all that a run rests on, and changes none of it.
 *
 * @returns the exit code: 0 fine, 1 findings, 3 Redis cannot be reached
 */
export async function doctor(options: DoctorOptions, out: NodeJS.WriteStream): Promise<number> {
  const diagnosis = await diagnose(options, process.env)
  const text = options.json
    ? JSON.stringify(diagnosis, null, 2)
    : formatDiagnosis(diagnosis, out.columns || 120, colorsOf(out))
  await print(out, `${text}\n`)
  if (!diagnosis.reachable) return EXIT.unreachable
  return diagnosis.findings > 0 ? EXIT.failed : EXIT.ok
}

const STATUS_WIDTH = 9
const ID_WIDTH = 14

/** A diagnosis for people, no line longer than `width` unless a word is. */
export function formatDiagnosis(
  { checks, findings, reachable }: Diagnosis,
  width: number,
  color: Colors,
): string {
  const paint = { ok: color.green, note: color.dim, finding: color.yellow }
  const indent = STATUS_WIDTH + ID_WIDTH
  const lines = checks.flatMap(({ id, status, text, fix }) => [
    `${paint[status](status.padEnd(STATUS_WIDTH))}${id.padEnd(ID_WIDTH)}${folded(text, width, indent)}`,
    ...(fix === undefined
      ? []
      : [`${' '.repeat(indent)}${color.bold('fix:')} ${folded(fix, width, indent + 5)}`]),
  ])
  const verdict = findings === 0 ? color.green('nothing found') : color.yellow(`findings: ${findings}`)
  return [...lines, '', reachable ? verdict : color.red('Redis cannot be reached')].join('\n')
}

/** Text in lines of at most `width` columns, all but the first `indent` columns from the left. */
function folded(text: string, width: number, indent: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && indent + last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}
