import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'

export const root = new URL('../../', import.meta.url)

export interface ComposeService {
  readonly image?: string
  readonly command?: string | string[]
  /** A variable without a value has null. */
  readonly environment?: Record<string, string | number | boolean | null>
}

/** What docker-compose.yml runs; one place says which version of each part that is. */
export async function composeServices(): Promise<Record<string, ComposeService>> {
  const text = await readFile(new URL('docker-compose.yml', root), 'utf8')
  return (parse(text, { merge: true }) as { services: Record<string, ComposeService> }).services
}

/** The service whose image is called so, whoever publishes it. */
export function serviceOf(services: Record<string, ComposeService>, image: string): ComposeService {
  const found = Object.values(services).find(
    service => service.image?.split(':')[0]?.split('/').at(-1) === image,
  )
  if (!found) throw new Error(`docker-compose.yml has no service with the image ${image}`)
  return found
}

/** `1.2.3` of an image `…/name:v1.2.3`. */
export function versionOf(services: Record<string, ComposeService>, image: string): string {
  const tag = /:v?(\d+\.\d+\.\d+)/.exec(serviceOf(services, image).image ?? '')?.[1]
  if (!tag) throw new Error(`docker-compose.yml does not say which version of ${image} it runs`)
  return tag
}

/** Its variables that have a value there. */
export function environmentOf({ environment = {} }: ComposeService): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])),
  )
}

/** Its command as words. */
export function commandOf({ command = [] }: ComposeService): string[] {
  return Array.isArray(command) ? command : command.split(/\s+/)
}
