import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'

/**
 * Names the service after the package that its script belongs to: `@conveyor/consumer` is `conveyor-consumer`.
 * OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before. An instance is one life of a process: a container
 * that was restarted keeps its host name and its pid, but not its counters.
 *
 * @param script path of the main module
 */
export function serviceResource(script: string | undefined): Resource {
  const { name, version } = packageOf(script)
  return resourceFromAttributes({
    'service.name': name?.replace(/^@/, '').replaceAll('/', '-') ?? 'unknown_service:node',
    ...(version !== undefined && { 'service.version': version }),
    'service.instance.id': randomUUID(),
  })
}

/** The nearest package.json above a script. */
function packageOf(script: string | undefined): { name?: string; version?: string } {
  if (!script) return {}
  for (let folder = dirname(script); ; folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    } catch {
      if (folder === dirname(folder)) return {}
    }
  }
}
