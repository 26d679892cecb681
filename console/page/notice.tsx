import type { ComponentChildren } from 'preact'
import type { Refused } from './api.ts'
import { sentence } from './format.ts'
import { Icon } from './icons.tsx'
import type { Got } from './use-get.ts'

/** Why there is nothing to see, and what to do about it. */
export function Empty({
  title,
  children,
}: {
  readonly title: string
  readonly children?: ComponentChildren
}) {
  return (
    <div class="notice">
      <p class="notice-title">{title}</p>
      {children && <p class="soft">{children}</p>}
    </div>
  )
}

/** What went wrong, and how to try again. */
export function Failed({ error, retry }: { readonly error: Refused; readonly retry?: () => void }) {
  return (
    <div class="notice bad-notice" role="alert">
      <p>
        <Icon name="warning" /> {sentence(error.message)}
      </p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  )
}

/** What is being loaded, of what. */
export function Loading({ what }: { readonly what: string }) {
  return (
    <p class="notice soft" role="status">
      Loading {what} …
    </p>
  )
}

/** What was loaded; until then, or when that failed, what to know of it. */
export function Loaded<T>(props: {
  readonly got: Got<T>
  readonly what: string
  readonly children: (data: T) => ComponentChildren
}) {
  const { got, what, children } = props
  return (
    <>
      {got.error && <Failed error={got.error} retry={got.reload} />}
      {got.data !== null ? children(got.data) : !got.error && <Loading what={what} />}
    </>
  )
}
