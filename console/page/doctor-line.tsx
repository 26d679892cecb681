import type { Doctor } from '../contract.ts'
import { plural } from './format.ts'
import { Icon } from './icons.tsx'
import { hrefOf } from './route.ts'
import { useGet } from './use-get.ts'

/** The doctor's findings, looked for once, in a line. */
export function DoctorLine() {
  const { data, error } = useGet<Doctor>('doctor')
  const findings = data?.checks.filter(({ status }) => status === 'finding') ?? []
  if (error) return <p class="trim-line soft">The doctor could not look: {error.message}</p>
  if (!data) return <p class="trim-line soft">The doctor is looking …</p>
  if (findings.length === 0) {
    return (
      <p class="trim-line">
        <span class="good">
          <Icon name="check" />
        </span>{' '}
        The doctor finds nothing wrong in {plural(data.checks.length, 'check')}.
      </p>
    )
  }
  return (
    <p class="trim-line">
      <span class="warn">
        <Icon name="warning" />
      </span>{' '}
      The doctor has <a href={hrefOf('health')}>{plural(findings.length, 'finding')}</a>:{' '}
      <span class="break">{findings.map(({ id, text }) => `${id}: ${text}`).join('; ')}</span>
    </p>
  )
}
