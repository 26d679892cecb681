import { existsSync, readdirSync } from 'node:fs'

const DEBIAN = '/usr/lib/postgresql'

/** Tests that need a server which is not here: the package that has it, and their files. Where CI is set, none is let off. */
const NEEDED: readonly {
  readonly package: string
  readonly here: boolean
  readonly files: readonly string[]
}[] = [
  {
    package: 'postgresql',
    here:
      existsSync(DEBIAN) &&
      readdirSync(DEBIAN).some(version => existsSync(`${DEBIAN}/${version}/bin/postgres`)),
    files: [
      ...['export', 'migrate', 'open-sink', 'pool', 'sink', 'source-table'].map(
        name => `postgres/${name}.test.ts`,
      ),
      'source/sources.test.ts',
      ...['flows', 'postgres-sink', 'sources'].map(name => `tests/${name}.test.ts`),
    ],
  },
  {
    package: 'rabbitmq-server',
    here: existsSync('/usr/lib/rabbitmq/bin/rabbitmq-server'),
    files: [
      'rabbitmq/bridge.test.ts',
      'rabbitmq/sink.test.ts',
      'tests/flows.test.ts',
      'tests/rabbitmq.test.ts',
    ],
  },
]

/** What is left out, and why. */
export const LEFT_OUT = process.env.CI ? [] : NEEDED.filter(({ here }) => !here)
