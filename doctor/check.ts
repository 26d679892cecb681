/** One thing that `conveyor doctor` looked at. */
export interface Check {
  /** What was looked at, in a word. */
  readonly id: string
  /** `finding`: something is wrong or soon will be; `note`: worth knowing. */
  readonly status: 'ok' | 'note' | 'finding'
  readonly text: string
  /** What to do about a finding. */
  readonly fix?: string
}

export const ok = (id: string, text: string): Check => ({ id, status: 'ok', text })
export const note = (id: string, text: string): Check => ({ id, status: 'note', text })
export const finding = (id: string, text: string, fix: string): Check => ({
  id,
  status: 'finding',
  text,
  fix,
})
