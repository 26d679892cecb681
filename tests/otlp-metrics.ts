import { onTestFinished } from 'vitest'
import { OtlpSink } from '../bench/otlp-sink.ts'

/** A series as a service has last sent it. */
export interface Sent {
  readonly name: string
  readonly unit: string
  /** Counters and gauges: the value; histograms: how many values. */
  readonly value: number
  readonly attributes: Readonly<Record<string, string>>
}

export interface Receiver {
  readonly url: string
  /** Series of a metric whose attributes are these, and perhaps others. */
  of(name: string, attributes?: Readonly<Record<string, string>>): Sent[]
}

/** Takes what services send by OTLP over gRPC, until the test ends. */
export async function receiveMetrics(): Promise<Receiver> {
  const series = new Map<string, Sent>()
  const sink = await OtlpSink.start(0, request => {
    for (const one of metricsIn(request)) series.set(`${one.name} ${JSON.stringify(one.attributes)}`, one)
  })
  onTestFinished(() => sink.stop())
  return {
    url: sink.url,
    of: (name, attributes = {}) =>
      [...series.values()].filter(
        one =>
          one.name === name &&
          Object.entries(attributes).every(([key, value]) => one.attributes[key] === value),
      ),
  }
}

/** The points of an ExportMetricsServiceRequest (opentelemetry/proto/metrics/v1/metrics.proto). */
function* metricsIn(request: Buffer): Generator<Sent> {
  for (const resource of fields(request, 1))
    for (const scope of fields(resource, 2))
      for (const metric of fields(scope, 2)) {
        const [name = '', unit = ''] = [1, 3].map(number => String(fields(metric, number)[0] ?? ''))
        for (const data of [...fields(metric, 5), ...fields(metric, 7)])
          for (const point of fields(data, 1)) {
            const [double, integer] = [fields(point, 4)[0], fields(point, 6)[0]]
            const value = double?.readDoubleLE() ?? Number(integer?.readBigInt64LE())
            yield { name, unit, value, attributes: attributesOf(fields(point, 7)) }
          }
        for (const data of fields(metric, 9))
          for (const point of fields(data, 1)) {
            const value = Number(fields(point, 4)[0]?.readBigUInt64LE() ?? 0)
            yield { name, unit, value, attributes: attributesOf(fields(point, 9)) }
          }
      }
}

/** Of KeyValues, those that are texts. */
function attributesOf(pairs: Buffer[]): Record<string, string> {
  const texts = pairs.map(pair => {
    const [value] = fields(pair, 2).flatMap(any => fields(any, 1))
    return [String(fields(pair, 1)[0]), String(value ?? '')] as const
  })
  return Object.fromEntries(texts)
}

/** What stands in a message's field of that number; empty for numbers of variable length. */
function fields(message: Buffer, wanted: number): Buffer[] {
  const found: Buffer[] = []
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] as number
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const type = tag % 8
    let length = 0
    if (type === 0) varint()
    else length = type === 2 ? varint() : type === 1 ? 8 : 4
    if (tag >> 3 === wanted) found.push(message.subarray(at, at + length))
    at += length
  }
  return found
}
