import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Snapshot } from '../contract.ts'

/** The raw snapshot. */
function App() {
  const [snapshot, setSnapshot] = useState<Snapshot>()
  useEffect(() => {
    const events = new EventSource('/api/events')
    events.addEventListener('snapshot', ({ data }) => setSnapshot(JSON.parse(data)))
    return () => events.close()
  }, [])
  return <pre>{JSON.stringify(snapshot, null, 2)}</pre>
}

const root = document.getElementById('app')
if (root) render(<App />, root)
