import type { Consumer, DemoAction } from '../contract.ts'

/**
 * The command line that does what a fault of the demonstration does.
 *
 * @param redis its URL
 */
export function demoCommand(
  action: DemoAction,
  redis: string,
  consumer?: Pick<Consumer, 'id' | 'holder'>,
): string {
  const pid = /\/(\d+)$/.exec(consumer?.holder ?? '')?.[1] ?? '<pid>'
  switch (action) {
    case 'kill':
      return `kill -9 ${pid}`
    case 'stop':
      return `kill -STOP ${pid}`
    case 'resume':
      return `kill -CONT ${pid}`
    case 'add':
      return `REDIS_URL=${redis} CONSUMER_ID=<new id> node consumer/dist/main.js`
    case 'cut':
      return `redis-cli -u ${redis} CLIENT KILL ${consumer ? `ID <each of ${consumer.id}>` : 'TYPE normal'}`
    case 'restart-redis':
      return `redis-cli -u ${redis} SHUTDOWN NOSAVE, and redis-server again`
  }
}
