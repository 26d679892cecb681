// Sends requests as fast as they are answered. Argument: options of autocannon, JSON. Prints its result, JSON.
import autocannon from 'autocannon'

const { requests, latency, non2xx, errors } = await autocannon(JSON.parse(process.argv[2]))
process.stdout.write(JSON.stringify({ requests, latency, non2xx, errors }))
