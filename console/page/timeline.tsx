import type { HistoryEvent, Message } from '../contract.ts'
import { count, exact, span } from './format.ts'
import { steps } from './timeline-view.ts'

/** What happened to a message, oldest first. */
export function Timeline(props: {
  readonly history: readonly HistoryEvent[]
  readonly line: Message['line']
}) {
  const { history, line } = props
  return (
    <ol class="timeline">
      {steps(history).map(({ event, kind, after, pause, key }) => (
        <li key={key} class={`step step-${kind}${pause ? ' step-pause' : ''}`}>
          <span class="step-after">
            <time title={exact(event.at)} dateTime={new Date(event.at).toISOString()}>
              {after === 0 ? exact(event.at).slice(11, 23) : `+${span(after)}`}
            </time>
          </span>
          <span class="step-dot" aria-hidden="true" />
          <span class="step-text">
            <b>{event.event}</b> <span class="break">{event.text}</span>
            {event.event === 'claimed' && (
              <span class="soft">, which had crashed, left or fallen silent</span>
            )}
            {event.event === 'committed' && line && (
              <span class="break">
                , {line.file} line {count(line.number)}
              </span>
            )}
          </span>
        </li>
      ))}
    </ol>
  )
}
