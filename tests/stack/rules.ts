import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { root } from './versions.ts'

export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
}

/** All rules of prometheus/rules.yml. */
export async function rules(): Promise<Rule[]> {
  const text = await readFile(new URL('prometheus/rules.yml', root), 'utf8')
  return (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(group => group.rules)
}

/** Its alerts. */
export async function alertExpressions(): Promise<{ alert: string; expr: string }[]> {
  return (await rules()).flatMap(({ alert, expr }) => (alert === undefined ? [] : [{ alert, expr }]))
}
