import { DataPointType } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { Histograms } from './histograms.ts'

const options = { scope: 'test', name: 'duration', unit: 's', description: 'A test', boundaries: [0.5, 1, 2] }

async function points(histograms: Histograms) {
  const { resourceMetrics } = await histograms.collect()
  const [metric] = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
  if (metric?.dataPointType !== DataPointType.HISTOGRAM) throw new Error('no histogram')
  return metric.dataPoints
}

test('upper bounds belong to their bucket, and what is above the last has one of its own', async () => {
  const histograms = new Histograms()
  const histogram = histograms.create(options)
  for (const value of [0, 0.5, 0.500001, 1, 2, 2.1, 100]) histogram.record(value)
  const [point] = await points(histograms)
  expect(point?.value.buckets).toEqual({ boundaries: [0.5, 1, 2], counts: [2, 2, 1, 2] })
  expect(point?.value).toMatchObject({ count: 7, min: 0, max: 100 })
  expect(point?.value.sum).toBeCloseTo(106.100001)
})

test('counts go on, also when it is asked for by its name again', async () => {
  const histograms = new Histograms()
  histograms.create(options).record(1)
  await points(histograms)
  histograms.create(options).record(1)
  expect((await points(histograms))[0]?.value.count).toBe(2)
})

test('attributes have points of their own', async () => {
  const histograms = new Histograms()
  const histogram = histograms.create(options)
  histogram.record(1)
  histogram.record(1, { 'error.type': 'handler failed' })
  histogram.record(1, { 'error.type': 'handler failed' })
  const found = await points(histograms)
  expect(found.map(({ attributes, value }) => [attributes, value.count])).toEqual([
    [{}, 1],
    [{ 'error.type': 'handler failed' }, 2],
  ])
})

test('those of several streams are one histogram, and a value has its own attributes besides', async () => {
  const histograms = new Histograms()
  const [a, b] = ['a', 'b'].map(stream => histograms.create(options, { stream }))
  b?.record(1)
  a?.record(1)
  a?.record(1, { 'error.type': 'handler failed' })
  histograms.create(options, { stream: 'b' }).record(1, { 'error.type': 'handler failed' })
  histograms.create(options, { stream: 'b' }).record(1)
  const found = await points(histograms)
  expect(found.map(({ attributes, value }) => [attributes, value.count])).toEqual([
    [{ stream: 'a' }, 1],
    [{ stream: 'b' }, 2],
    [{ stream: 'a', 'error.type': 'handler failed' }, 1],
    [{ stream: 'b', 'error.type': 'handler failed' }, 1],
  ])
  expect((await histograms.collect()).resourceMetrics.scopeMetrics).toHaveLength(1)
})

test('one that nothing was recorded in shows nothing', async () => {
  const histograms = new Histograms()
  histograms.create(options)
  expect(await points(histograms)).toEqual([])
})
