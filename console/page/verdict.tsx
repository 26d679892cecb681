import type { ComponentChildren } from 'preact'
import type { Snapshot, Verdict } from '../contract.ts'
import { bytes, count, percent, plural, sentence } from './format.ts'
import { Icon } from './icons.tsx'
import { hrefOf } from './route.ts'
import { Time } from './time.tsx'
import { headline, looks } from './verdict-view.ts'

/** Whether each package came out exactly once: the first thing there is to see. */
export function VerdictBanner(props: {
  readonly snapshot: Snapshot
  readonly fresh: boolean
  readonly children?: ComponentChildren
}) {
  const { snapshot, fresh, children } = props
  const { verdict } = snapshot
  const { kind, icon } = looks(verdict.state)
  return (
    <section class={`verdict verdict-${fresh ? kind : 'unknown'}`} aria-labelledby="verdict">
      <div class="verdict-mark">
        <Icon name={icon} size={40} />
      </div>
      <div class="verdict-body">
        {/* Only this is announced: the figures change four times a second. */}
        <div role="status">
          <h1 id="verdict">{headline(verdict)}</h1>
        </div>
        {verdict.offender && <OffenderLine verdict={verdict} />}
        {verdict.state !== 'unknown' || verdict.produced > 0 ? <Equation verdict={verdict} /> : null}
        {verdict.state === 'checking' && <Progress verdict={verdict} />}
        <Basis verdict={verdict} />
      </div>
      {children}
    </section>
  )
}

function Equation({ verdict }: { readonly verdict: Verdict }) {
  const { produced, committed, waiting, dead, purged, gaps, duplicates } = verdict
  const { unreadable, unexpected, deadProcessed } = verdict
  return (
    <p class="equation">
      <span class="terms">
        <Term name="produced" value={produced} /> <i>=</i> <Term name="committed" value={committed} />{' '}
        <i>+</i> <Term name="waiting" value={waiting} href={hrefOf('pending')} /> <i>+</i>{' '}
        <Term name="dead" value={dead} href={hrefOf('dead')} />
        {purged > 0 && (
          <>
            {' '}
            <i>+</i> <Term name="purged" value={purged} />
          </>
        )}
      </span>
      <span class="hidden">, </span>
      <span class="faults">
        <Fault name="gaps" value={gaps} />
        <span class="hidden">, </span>
        <Fault name="duplicates" value={duplicates} />
        {unreadable > 0 && <Fault name="unreadable lines" value={unreadable} />}
        {unexpected > 0 && <Fault name="unexpected" value={unexpected} />}
        {deadProcessed > 0 && <Fault name="dead letters in a file" value={deadProcessed} />}
      </span>
    </p>
  )
}

function Term({
  name,
  value,
  href,
}: {
  readonly name: string
  readonly value: number
  readonly href?: string
}) {
  const text: ComponentChildren = (
    <>
      <small>{name}</small> <b>{count(value)}</b>
    </>
  )
  return href ? (
    <a class="term" href={href}>
      {text}
    </a>
  ) : (
    <span class="term">{text}</span>
  )
}

function Fault({ name, value }: { readonly name: string; readonly value: number }) {
  return (
    <span class={value > 0 ? 'term fault bad' : 'term fault'}>
      <small>{name}</small> <b>{count(value)}</b>
    </span>
  )
}

function OffenderLine({ verdict: { offender } }: { readonly verdict: Verdict }) {
  if (!offender) return null
  return (
    <p class="offender">
      <span class="break">{offender.text}</span>{' '}
      {offender.package !== null && (
        <a href={hrefOf('message', offender.package)}>
          Show what happened to package {count(offender.package)}
        </a>
      )}
    </p>
  )
}

function Progress({ verdict: { bytes: read, bytesLeft } }: { readonly verdict: Verdict }) {
  const share = read + bytesLeft > 0 ? read / (read + bytesLeft) : 0
  return (
    <p>
      <progress value={share} aria-label="Output files read" />{' '}
      {`${percent(share)}: ${bytes(read)} of ${bytes(read + bytesLeft)} of output read`}
    </p>
  )
}

/** What it was judged by, and what else is to be known. */
function Basis({ verdict }: { readonly verdict: Verdict }) {
  const { by, judgedTo, bytes: read, at, note, run, state } = verdict
  return (
    <p class="basis">
      {state !== 'unknown' &&
        (by === 'files' ? (
          <>
            Read from the output files, {bytes(read)}, up to package {count(judgedTo)}
            {', '}
            <Time at={at} />
            {'. '}
          </>
        ) : (
          <>By the counts in Redis, up to package {count(judgedTo)}. </>
        ))}
      {note && <span class="break">{sentence(note)} </span>}
      {run && <span class="soft nowrap">Run {run}</span>}
    </p>
  )
}

/** The verdict in a line, for pages that are about something else. */
export function VerdictLine({ verdict, fresh }: { readonly verdict: Verdict; readonly fresh: boolean }) {
  const { kind, icon } = looks(verdict.state)
  return (
    <a class={`verdict-line verdict-${fresh ? kind : 'unknown'}`} href={hrefOf('overview')}>
      <Icon name={icon} /> <b>{headline(verdict)}</b>
      <span class="verdict-line-more">
        {verdict.gaps + verdict.duplicates > 0
          ? `${plural(verdict.gaps, 'gap')}, ${plural(verdict.duplicates, 'duplicate')}`
          : `${count(verdict.committed)} of ${count(verdict.produced)} committed`}
      </span>
    </a>
  )
}
