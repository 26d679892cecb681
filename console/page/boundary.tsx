import { Component, type ComponentChildren } from 'preact'
import { Icon } from './icons.tsx'

interface Props {
  readonly children: ComponentChildren
}

/** Shows that a part of the page failed, instead of nothing at all. */
export class Boundary extends Component<Props, { error: unknown }> {
  override state = { error: undefined as unknown }

  static override getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override componentDidCatch(error: unknown): void {
    console.error(error)
  }

  override render() {
    const { error } = this.state
    if (error === undefined) return this.props.children
    return (
      <div class="notice bad-notice" role="alert">
        <p class="break">
          <Icon name="warning" /> This part of the page failed: {String(error)}
        </p>
        <button type="button" onClick={() => this.setState({ error: undefined })}>
          Try again
        </button>
      </div>
    )
  }
}
