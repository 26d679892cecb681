import type { About, Seen, Series, Snapshot } from '../contract.ts'
import { Charts } from './charts.tsx'
import { Consumers } from './consumers.tsx'
import { Demo } from './demo.tsx'
import { DoctorLine } from './doctor-line.tsx'
import { Flow } from './flow.tsx'
import { count, plural } from './format.ts'
import { TrimLine } from './health.tsx'
import { OpenPanel } from './open-panel.tsx'
import { Reasons } from './reasons.tsx'
import { hrefOf } from './route.ts'
import { VerdictBanner } from './verdict.tsx'

interface Props {
  readonly about: About
  readonly snapshot: Snapshot
  /** What Redis said last. */
  readonly seen: Seen | null
  readonly series: Series
  readonly fresh: boolean
}

/** All of it at a glance: the verdict first. */
export function Overview({ about, snapshot, seen, series, fresh }: Props) {
  return (
    <>
      <VerdictBanner snapshot={snapshot} fresh={fresh}>
        {about.demo && (
          <button type="button" class="verdict-demo" onClick={toDemo}>
            Try to break it
          </button>
        )}
      </VerdictBanner>
      <section class="panel" aria-labelledby="flow">
        <div class="panel-head">
          <h2 id="flow">Flow</h2>
          <p class="soft break">
            {about.stream} / {about.group}
          </p>
        </div>
        {seen && <Flow seen={seen} />}
        <Charts series={series} marks={snapshot.marks} />
      </section>
      {seen && (
        <>
          <section class="panel" aria-labelledby="consumers">
            <div class="panel-head">
              <h2 id="consumers">Consumers</h2>
              <Faults seen={seen} />
            </div>
            <Consumers seen={seen} />
          </section>
          <div class="halves">
            <OpenPanel seen={seen} />
            <Dead seen={seen} />
          </div>
          <section class="panel" aria-labelledby="trim">
            <div class="panel-head">
              <h2 id="trim">Trim and doctor</h2>
              <a class="push" href={hrefOf('health')}>
                More
              </a>
            </div>
            <TrimLine trim={seen.trim} />
            <DoctorLine />
          </section>
        </>
      )}
      {about.demo && <Demo seen={seen} />}
    </>
  )
}

function Faults({ seen }: { readonly seen: Seen }) {
  const { claimed, fenced, lost } = seen
  return (
    <p class="soft">
      in this run: claimed {count(claimed)}, fenced {count(fenced)},{' '}
      <span class={lost > 0 ? 'bad' : ''}>lost {count(lost)}</span>
    </p>
  )
}

function toDemo(): void {
  const demo = document.getElementById('demo')
  demo?.scrollIntoView({ block: 'center' })
  demo?.closest('section')?.querySelector<HTMLElement>('button')?.focus()
}

function Dead({ seen: { deadLetters } }: { readonly seen: Seen }) {
  const { reasons, all } = deadLetters
  const here = Object.values(reasons).reduce((sum, letters) => sum + letters, 0)
  return (
    <section class="panel" aria-labelledby="dead">
      <div class="panel-head">
        <h2 id="dead">Dead letters</h2>
        <p class="soft">{count(here)}</p>
        <a class="push" href={hrefOf('dead')}>
          Look at them
        </a>
      </div>
      {here > 0 ? (
        <Reasons reasons={reasons} query={new URLSearchParams()} />
      ) : (
        <p class="notice soft">None in this run. What cannot be handled comes here, and can be replayed.</p>
      )}
      {all > here && (
        <p class="soft below">{plural(all - here, 'letter')} more of other groups and earlier runs.</p>
      )}
    </section>
  )
}
