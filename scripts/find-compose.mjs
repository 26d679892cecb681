// Finds what runs docker-compose.yml. Plain JavaScript, like all that runs before anything is installed.
import { spawnSync } from 'node:child_process'

/**
 * The words of the command: `docker compose`, or the older `docker-compose`; the variable COMPOSE names another.
 * Says in one line what is missing, and ends the process with 2, when there is none or no engine answers.
 */
export function findCompose() {
  const { COMPOSE } = process.env
  const candidates = COMPOSE ? [COMPOSE.split(' ')] : [['docker', 'compose'], ['docker-compose']]
  const found = candidates.find(([command, ...words]) => works(command, ...words, 'version'))
  if (!found && COMPOSE) fail(`COMPOSE="${COMPOSE}": cannot be run`)
  if (!found)
    fail('neither `docker compose` nor `docker-compose` can be run: install Docker, or use `npm start`')
  if (!COMPOSE && !works('docker', 'version'))
    fail('no Docker engine answers: start it (`docker version` says more)')
  return found
}

function works(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function fail(message) {
  console.error(`conveyor: ${message}`)
  process.exit(2)
}
