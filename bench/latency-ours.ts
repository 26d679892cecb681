// Consumes with the library, at its defaults, and notes when a package was received, when its commit was answered, and
// when its line was in the file and synced. Arguments: Redis URL, stream, how many packages, output directory.
// Sends back these stages of all packages, in ms of the common clock, in the order of their numbers.
import { consume, DEFAULTS, type Events, keysOf, type StreamEvent } from '@conveyor/stream'
import { Subject } from 'rxjs'
import { Stage } from './stage.ts'

const [url, stream, total, outputDirectory] = process.argv.slice(2) as [string, string, string, string]
const events: Events = new Subject<StreamEvent>()
const received = new Stage()
const committed = new Stage()
const flushed = new Stage()

/** Offsets that commits ended at, and how many packages were committed by then. */
const ends: [offset: number, packages: number][] = []

events.subscribe(event => {
  if (event.type === 'sessionOpened') process.send?.('ready')
  else if (event.type === 'delivered') received.reach(received.done + event.count)
  else if (event.type === 'committed') {
    committed.reach(committed.done + event.done)
    ends.push([event.end, committed.done])
  } else if (event.type === 'flushed') {
    while (ends[0] && ends[0][0] <= event.to) flushed.reach((ends.shift() as [number, number])[1])
    if (flushed.done === Number(total)) process.send?.(stages())
  }
})
consume({
  url,
  keys: keysOf(stream, 'g'),
  groups: ['g'],
  consumer: 'c1',
  outputDirectory,
  settings: DEFAULTS,
  events,
  stop: new AbortController().signal,
  handler: () => {},
}).subscribe()
process.on('disconnect', () => process.exit())

function stages() {
  return { received: received.times, committed: committed.times, flushed: flushed.times }
}
