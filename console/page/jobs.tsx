import type { Job } from '../contract.ts'
import { ActionButton } from './action.tsx'
import { Command } from './command.tsx'
import { count, plural } from './format.ts'
import { jobText } from './job-view.ts'

/** Bulk actions under way, and those that have just ended. */
export function Jobs({ jobs }: { readonly jobs: readonly Job[] }) {
  if (jobs.length === 0) return null
  return (
    <ul class="jobs" aria-label="Bulk actions">
      {jobs.map(job => (
        <li key={job.id} class={`job job-${job.state}`}>
          <p class="row">
            <b>{jobText(job)}</b>
            {job.state === 'running' && (
              <>
                <progress value={job.total > 0 ? job.done / job.total : 0} aria-label="Letters acted on" />
                <span>
                  {count(job.done)} of {plural(job.total, 'letter')}
                </span>
                <ActionButton
                  path={`jobs/${encodeURIComponent(job.id)}/stop`}
                  command="Ctrl-C"
                  label="Stop it"
                >
                  Stop
                </ActionButton>
              </>
            )}
          </p>
          {job.error && <p class="bad break">{job.error}</p>}
          <Command line={job.command} />
        </li>
      ))}
    </ul>
  )
}
