/** A share of 0 to 1 as a bar. It stands beside a text that says the same. */
export function Bar({ share, color = 1 }: { readonly share: number; readonly color?: 1 | 3 }) {
  return (
    <span class="track" aria-hidden="true">
      <span class={`fill series-${color}`} style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
    </span>
  )
}
