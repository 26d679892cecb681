import type { Message } from '../contract.ts'
import { count, duration, plural, pretty, UNKNOWN } from './format.ts'
import { Empty, Loaded } from './notice.tsx'
import { Due, RetryNow } from './pending.tsx'
import { hrefOf, type Route } from './route.ts'
import { Time } from './time.tsx'
import { Timeline } from './timeline.tsx'
import { useGet } from './use-get.ts'

/** Ms until it is looked up again; never once it is where it stays. */
function pause({ state }: Message): number | undefined {
  return state === 'committed' || state === 'purged' ? undefined : 2000
}

/** Everything about one message, by its package number or the id of an entry. */
export function MessagePage({ route }: { readonly route: Route }) {
  const { id } = route
  const got = useGet<Message>(id === '' ? null : `messages/${encodeURIComponent(id)}`, pause)
  if (id === '') {
    return (
      <Empty title="Which message?">
        Give the number of a package, or the id of an entry, in the search field above, or{' '}
        <a href={hrefOf('search')}>search by what else is known of it</a>.
      </Empty>
    )
  }
  return (
    <Loaded got={got} what={`message ${id}`}>
      {message => <Details message={message} reload={got.reload} />}
    </Loaded>
  )
}

const KIND: Readonly<Record<Message['state'], string>> = {
  committed: 'good',
  undelivered: 'quiet',
  pending: 'quiet',
  waiting: 'warn',
  dead: 'bad',
  purged: 'quiet',
  'not found': 'bad',
  'not given out': 'quiet',
}

export function StateMark({ state }: { readonly state: Message['state'] }) {
  return <span class={`badge badge-${KIND[state]}`}>{state}</span>
}

function Details({ message, reload }: { readonly message: Message; readonly reload: () => void }) {
  const { package: number, state, history, payload, trace, run, sequence } = message
  const [first] = history
  const last = history.at(-1)
  return (
    <article aria-labelledby="message">
      <div class="page-head">
        <h2 id="message">Package {count(number)}</h2>
        <StateMark state={state} />
        <nav class="row push" aria-label="Neighbours">
          {number > 1 && <a href={hrefOf('message', number - 1)}>← {count(number - 1)}</a>}
          {number < sequence && <a href={hrefOf('message', number + 1)}>{count(number + 1)} →</a>}
        </nav>
      </div>
      <div class="panel">
        <Whereabouts message={message} reload={reload} />
        <dl class="facts">
          <Fact name="Run">{run || UNKNOWN}</Fact>
          {first && (
            <Fact name="First known">
              <Time at={first.at} />
            </Fact>
          )}
          {first && last && last !== first && (
            <Fact name="On its way for">{duration(last.at - first.at)}</Fact>
          )}
          {trace && (
            <Fact name="Trace">
              <a href={trace} rel="noreferrer" target="_blank">
                Show in Jaeger
              </a>
            </Fact>
          )}
        </dl>
      </div>
      {state !== 'not given out' && (
        <section class="panel" aria-labelledby="history">
          <div class="panel-head">
            <h2 id="history">History</h2>
            {history.length > 0 && <p class="soft">{plural(history.length, 'step')}</p>}
          </div>
          {history.length > 0 ? (
            <Timeline history={history} line={message.line} />
          ) : (
            <Empty title="Nothing is kept about it">
              Only what goes wrong is kept, for a day. With <code>HISTORY=all</code> set for the consumers,
              the way of each package is.
            </Empty>
          )}
        </section>
      )}
      {payload !== null && (
        <section class="panel" aria-labelledby="payload">
          <div class="panel-head">
            <h2 id="payload">Payload</h2>
          </div>
          <Payload text={payload} />
        </section>
      )}
    </article>
  )
}

/** Text that came from outside, as text. */
export function Payload({
  text,
  label = 'Payload text',
}: {
  readonly text: string
  readonly label?: string
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="payload" tabIndex={0} aria-label={label}>
      <pre>{pretty(text)}</pre>
    </section>
  )
}

export function Fact({
  name,
  children,
}: {
  readonly name: string
  readonly children: preact.ComponentChildren
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="break">{children}</dd>
    </div>
  )
}

/** Where it is now, and what can be done about that. */
function Whereabouts({ message, reload }: { readonly message: Message; readonly reload: () => void }) {
  const { line, place, state, sequence } = message
  if (line) {
    return (
      <>
        <p class="where">
          Committed to{' '}
          <b class="break">
            {line.file}, line {count(line.number)}
          </b>
        </p>
        <Payload text={line.text} label="Its line in the file" />
      </>
    )
  }
  switch (place?.at) {
    case 'undelivered':
      return (
        <p class="where">
          In the stream as <code>{place.entry}</code>, delivered to nobody yet
        </p>
      )
    case 'pending':
      return (
        <p class="where">
          With consumer <b class="break">{place.consumer}</b> as <code>{place.entry}</code>
          {place.deliveries > 1 && <span class="warn">, delivered {plural(place.deliveries, 'time')}</span>}
        </p>
      )
    case 'waiting':
      return (
        <p class="where row">
          <span>
            Waits for another attempt, due <Due due={place.due} dueIn={place.dueIn} />
          </span>
          <RetryNow number={message.package} done={reload} />
        </p>
      )
    case 'dead':
      return (
        <p class="where">
          In the dead letters: <a href={hrefOf('dead', place.letter)}>letter {place.letter}</a>, where it can
          be replayed
        </p>
      )
  }
  switch (state) {
    case 'not given out':
      return (
        <p class="where">
          There is no such package yet: the last number that was given out is{' '}
          <a href={hrefOf('message', sequence)}>{count(sequence)}</a>
        </p>
      )
    case 'purged':
      return <p class="where">Its dead letter was purged: it was given up, and no file will have it</p>
    case 'not found':
      return (
        <p class="where bad">
          It was given out, and is neither on its way nor in the files. If its consumer has not written it
          yet, it will be there in a moment
        </p>
      )
    default:
      return <p class="where">Committed; its line is not to be seen from here</p>
  }
}
