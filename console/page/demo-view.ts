import type { Consumer, DemoAction } from '../contract.ts'

/** The command line that does what a fault of the demonstration does. */
export function demoCommand(action: DemoAction, consumer?: Pick<Consumer, 'id' | 'holder'>): string {
  const pid = /\/(\d+)$/.exec(consumer?.holder ?? '')?.[1] ?? '<pid>'
  switch (action) {
    case 'kill':
      return `kill -9 ${pid}`
    case 'stop':
      return `kill -STOP ${pid}`
    case 'resume':
      return `kill -CONT ${pid}`
    case 'add':
      return 'CONSUMER_ID=<id> node consumer/dist/main.js'
    case 'cut':
      return consumer ? 'redis-cli CLIENT KILL ID <id>' : 'redis-cli CLIENT KILL TYPE normal'
    case 'restart-redis':
      return 'kill -9 <pid of redis-server>, and start it again'
  }
}
