import { Bar } from './bar.tsx'
import { count, percent } from './format.ts'
import { hrefOf } from './route.ts'

/** How many letters there are of each reason. A click shows those of one, another click all again. */
export function Reasons(props: {
  readonly reasons: Readonly<Record<string, number>>
  readonly query: URLSearchParams
}) {
  const { reasons, query } = props
  const rows = Object.entries(reasons).sort(([, a], [, b]) => b - a)
  const all = rows.reduce((sum, [, letters]) => sum + letters, 0)
  const most = rows[0]?.[1] ?? 1
  const chosen = query.getAll('reason')
  return (
    <ul class="reasons" aria-label="Reasons">
      {rows.map(([reason, letters]) => (
        <li key={reason}>
          <a href={toggled(query, reason)} aria-current={chosen.includes(reason) ? 'true' : undefined}>
            <span class="reason break">{reason}</span>
            <Bar share={letters / most} color={3} />
            <b class="number">{count(letters)}</b>
            <span class="soft number">{percent(letters / all)}</span>
          </a>
        </li>
      ))}
    </ul>
  )
}

function toggled(query: URLSearchParams, reason: string): string {
  const fields = Object.fromEntries([...query].filter(([name]) => name !== 'before' && name !== 'reason'))
  const rest = query.getAll('reason').filter(one => one !== reason)
  return hrefOf('dead', '', { ...fields, reason: query.getAll('reason').includes(reason) ? rest : [reason] })
}
