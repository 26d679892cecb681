import { render } from 'preact'
import { App } from './app.tsx'
import { Connection } from './live.ts'

const root = document.getElementById('app')
if (root) {
  root.replaceChildren()
  render(<App />, root)
  new Connection().start()
}
