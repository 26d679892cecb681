import type { ComponentChildren } from 'preact'
import type { Seen } from '../contract.ts'
import { bytes, count, duration, perSecond, plural } from './format.ts'
import { Icon } from './icons.tsx'
import { hrefOf } from './route.ts'

/** Producer, stream, consumers, files: what goes through, and where it is held up. */
export function Flow({ seen }: { readonly seen: Seen }) {
  const { balance, lag, pending, waiting, nextDue, deadLetters, consumers, unflushed } = seen
  const here = consumers.filter(({ state }) => state !== 'gone')
  const live = consumers.filter(({ state }) => state === 'live').length
  const dead = Object.values(deadLetters.reasons).reduce((sum, letters) => sum + letters, 0)
  return (
    <ol class="flow" aria-label="The way of a package">
      <Stop name="Producer" main={count(balance.givenOut)} unit="given out" />
      <Arrow rate={seen.in} into="into the stream" />
      <Stop name="Stream" href={hrefOf('health')} main={count(lag.packages)} unit="behind (lag)">
        <p>
          oldest {duration(lag.ms)}, {plural(seen.length, 'entry', 'entries')} kept
          {seen.memory !== null && `, ${bytes(seen.memory)}`}
        </p>
      </Stop>
      <Arrow rate={null} into="delivered" />
      <Stop name="Consumers" href={hrefOf('consumers')} main={count(pending)} unit="in work (pending)">
        <p>
          {live} of {here.length} live
          {waiting > 0 && (
            <>
              {', '}
              <a class="warn" href={hrefOf('pending')}>
                {count(waiting)} waiting
                {nextDue !== null && `, next ${nextDue > 0 ? `in ${duration(nextDue)}` : 'now'}`}
              </a>
            </>
          )}
        </p>
      </Stop>
      <Arrow rate={seen.out} into="settled" />
      <Stop name="Files" main={count(balance.committed)} unit="committed">
        <p>
          {bytes(unflushed)} not yet on disk
          {dead > 0 && (
            <>
              {', '}
              <a class="warn" href={hrefOf('dead')}>
                {plural(dead, 'dead letter')}
              </a>
            </>
          )}
        </p>
      </Stop>
    </ol>
  )
}

function Stop(props: {
  readonly name: string
  readonly main: string
  readonly unit: string
  readonly href?: string
  readonly children?: ComponentChildren
}) {
  const { name, main, unit, href, children } = props
  return (
    <li class="stop">
      <h3>{href ? <a href={href}>{name}</a> : name}</h3>
      <p class="stop-main">
        <b>{main}</b> <span class="soft">{unit}</span>
      </p>
      {children}
    </li>
  )
}

function Arrow({ rate, into }: { readonly rate: number | null; readonly into: string }) {
  return (
    <li class="arrow">
      {rate !== null && <b class="nowrap">{perSecond(rate)}</b>}
      <Icon name="arrow" size={22} />
      <span class="soft">{into}</span>
    </li>
  )
}
