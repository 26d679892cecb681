import type { Consumer, DemoAction, Seen } from '../contract.ts'
import { ActionButton } from './action.tsx'
import { about } from './api.ts'
import { StateBadge } from './consumers.tsx'
import { demoCommand } from './demo-view.ts'
import { useStore } from './store.ts'

const EACH: readonly [DemoAction, text: string, label: string][] = [
  ['kill', 'Kill', 'without a chance to tidy up'],
  ['stop', 'Freeze', 'as on a machine that hangs'],
  ['resume', 'Wake', 'a frozen process goes on'],
  ['cut', 'Cut', 'its connections to Redis'],
]

/** Faults for visitors: try to break the promise, and watch it hold. */
export function Demo({ seen }: { readonly seen: Seen | null }) {
  const consumers = seen?.consumers.filter(({ state }) => state !== 'gone') ?? []
  return (
    <section class="panel demo" aria-labelledby="demo">
      <div class="panel-head">
        <h2 id="demo">Try to break it</h2>
        <p class="soft">
          Kill, freeze and cut whatever you like, and watch the verdict above. The charts show when you did.
        </p>
      </div>
      <ul class="victims">
        {consumers.map(consumer => (
          <li key={consumer.id}>
            <b class="break">{consumer.id}</b>
            <StateBadge consumer={consumer} />
            <span class="row">
              {EACH.map(([action, text, label]) => (
                <DemoButton
                  key={action}
                  action={action}
                  text={text}
                  label={`${text} ${consumer.id}: ${label}`}
                  consumer={consumer}
                />
              ))}
            </span>
          </li>
        ))}
      </ul>
      <p class="row below">
        <DemoButton action="add" text="Add a consumer" label="Add a consumer: one more process" />
        <DemoButton action="cut" text="Cut all connections" label="Cut all connections to Redis" />
        <DemoButton
          action="restart-redis"
          text="Restart Redis"
          label="Restart Redis: kill it, and start it again on what it left"
        />
      </p>
    </section>
  )
}

interface ButtonProps {
  readonly action: DemoAction
  readonly text: string
  readonly label: string
  readonly consumer?: Consumer
}

function DemoButton({ action, text, label, consumer }: ButtonProps) {
  return (
    <ActionButton
      path={`demo/${action}`}
      body={consumer ? { consumer: consumer.id } : {}}
      command={demoCommand(action, useStore(about)?.redis ?? '<url>', consumer)}
      label={label}
      class={action === 'resume' || action === 'add' ? 'small' : 'small danger'}
    >
      {text}
    </ActionButton>
  )
}
