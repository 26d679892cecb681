import { asked, openBroker } from './broker.ts'

/**
 * Throws away what is in a queue and has not been delivered. Returns how many messages; 0 when there is no such queue.
 * Rejects with `BrokerLost` or `BrokerRefused`.
 *
 * @param deadline ms for connecting
 */
export async function purgeQueue(url: string, queue: string, deadline: number): Promise<number> {
  const connection = await openBroker({ url, name: 'conveyor-purge', deadline })
  try {
    const channel = await asked(connection.createChannel(), 'AMQP_URL')
    channel.on('error', () => {}) // what was asked for rejects
    const { messageCount } = await asked(channel.purgeQueue(queue), 'AMQP_QUEUE')
    return messageCount
  } catch (error) {
    if (/NOT_FOUND/.test((error as Error).message)) return 0
    throw error
  } finally {
    await connection.close().catch(() => {})
  }
}
