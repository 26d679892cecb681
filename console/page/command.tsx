import { useState } from 'preact/hooks'
import { Icon } from './icons.tsx'

/** A command line that does the same, and a button that copies it. */
export function Command({ line }: { readonly line: string }) {
  const [copied, setCopied] = useState<'no' | 'yes' | 'failed'>('no')
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line)
      setCopied('yes')
    } catch {
      setCopied('failed') // the browser does not let us, for instance on a page that is not local and without TLS
    }
    setTimeout(() => setCopied('no'), 2500)
  }
  return (
    <div class="command">
      <span class="hidden">The same on the command line:</span>
      <code class="break">{line}</code>
      <button type="button" class="plain small" onClick={copy} aria-label={`Copy: ${line}`}>
        <Icon name="copy" /> <span role="status">{TEXTS[copied]}</span>
      </button>
    </div>
  )
}

const TEXTS = { no: 'Copy', yes: 'Copied', failed: 'Select and copy it' } as const
