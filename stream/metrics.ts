import {
  type Attributes,
  type Histogram,
  type Meter,
  metrics,
  type ObservableGauge,
} from '@opentelemetry/api'
import type { Keys } from './keys.ts'
import { ATTRIBUTE, METRIC, SCOPE } from './semconv.ts'

/** Upper bounds of histogram buckets, seconds: half a millisecond can be told from one. */
const BOUNDARIES = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
  0.5, 0.75, 1, 2.5, 5, 10, 30, 60,
]

/** What tells a stream's metrics from those of others. Made once, and not for each value. */
export function ofStream(stream: string): Attributes {
  return { [ATTRIBUTE.destination]: stream }
}

/** The same for what is about one of its groups. */
export function ofGroup({ stream, group }: Pick<Keys, 'stream' | 'group'>): Attributes {
  return { ...ofStream(stream), [ATTRIBUTE.group]: group }
}

/** Instruments are made when they are needed: those made before the SDK is there never record. */
export function getMeter(): Meter {
  return metrics.getMeter(SCOPE)
}

export function seconds(meter: Meter, name: string, description: string): Histogram {
  return meter.createHistogram(name, {
    unit: 's',
    description,
    advice: { explicitBucketBoundaries: BOUNDARIES },
  })
}

/** What durations of single packages are recorded in. */
export type Durations = Pick<Histogram, 'record'>

/** Where @conveyor/telemetry offers histograms that cost less than the SDK's. */
const OFFERED = Symbol.for('conveyor.histograms')

interface Offering {
  [OFFERED]?: {
    create(
      options: { scope: string; name: string; unit: string; description: string; boundaries: number[] },
      attributes: Attributes,
    ): Durations
  }
}

/** As {@link seconds}, for what is recorded with every package. Each value gets the attributes, besides its own. */
export function secondsOfPackages(
  meter: Meter,
  name: string,
  description: string,
  attributes: Attributes,
): Durations {
  const offered = (globalThis as Offering)[OFFERED]
  if (offered) {
    return offered.create({ scope: SCOPE, name, unit: 's', description, boundaries: BOUNDARIES }, attributes)
  }
  const histogram = seconds(meter, name, description)
  return {
    record: (value, more) => histogram.record(value, more ? { ...attributes, ...more } : attributes),
  }
}

export function requests(meter: Meter): Histogram {
  return seconds(meter, METRIC.requestDuration, 'One request to Redis')
}

export function createBackpressure(meter: Meter): ObservableGauge {
  return meter.createObservableGauge(METRIC.backpressure, {
    description: '1 while it holds reading or sending back, else 0',
  })
}

type Gauge = Parameters<Meter['addBatchObservableCallback']>[1][number]
type Observer = Parameters<Meter['addBatchObservableCallback']>[0]

/** Calls `observer` at each collection of the gauges. Returns what ends that. */
export function observe(meter: Meter, gauges: Gauge[], observer: Observer): () => void {
  meter.addBatchObservableCallback(observer, gauges)
  return () => meter.removeBatchObservableCallback(observer, gauges)
}
