import { Server, ServerCredentials } from '@grpc/grpc-js'

const METRICS = 'metrics.v1.MetricsService'
const SERVICES = ['trace.v1.TraceService', METRICS]
const raw = (value: Buffer) => value

/** Accepts OTLP over gRPC, as a Collector would, and counts what comes. */
export class OtlpSink {
  requests = 0
  bytes = 0

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  /**
   * @param port 0 takes any free one
   * @param metrics gets what comes of metrics, undecoded
   */
  static async start(port = 0, metrics: (request: Buffer) => void = () => {}): Promise<OtlpSink> {
    const server = new Server({ 'grpc.max_receive_message_length': -1 })
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
        error ? reject(error) : resolve(at),
      )
    })
    const sink = new OtlpSink(server, `http://127.0.0.1:${bound}`)
    for (const service of SERVICES) {
      const path = `/opentelemetry.proto.collector.${service}/Export`
      const method = {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: raw,
        requestDeserialize: raw,
        responseSerialize: raw,
        responseDeserialize: raw,
      }
      server.addService(
        { Export: method },
        {
          Export: (call: { request: Buffer }, reply: (error: null, answer: Buffer) => void) => {
            sink.requests++
            sink.bytes += call.request.length
            if (service === METRICS) metrics(call.request)
            reply(null, Buffer.alloc(0))
          },
        },
      )
    }
    return sink
  }

  stop(): void {
    this.server.forceShutdown()
  }
}
