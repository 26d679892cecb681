import type { CustomSeriesRenderItem } from 'echarts'
import * as echarts from 'echarts'
import type { Result, Sample } from './run.ts'
import { KINDS } from './schedule.ts'

const WIDTH = 1400
const ROW = 18
const COLOURS = ['#4c78a8', '#54a24b', '#e45756']

/** A run as a picture (SVG): packages per second in and out, how far behind, and every fault from begin to end. */
export function timeline({ samples, faults, ms, seed }: Result): string {
  const kinds = KINDS.filter(kind => faults.some(fault => fault.kind === kind)).reverse()
  const bars = kinds.length * ROW
  const height = 470 + bars
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  const grid = (top: number, height: number) => ({ left: 110, right: 30, top, height })
  const time = {
    type: 'value' as const,
    min: 0,
    max: Math.ceil(ms / 1000),
    axisLabel: { formatter: '{value} s' },
  }
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    color: COLOURS,
    title: { text: `${faults.length} faults, seed ${seed}`, left: 10, top: 8, textStyle: { fontSize: 14 } },
    legend: { top: 8, right: 30, data: ['given out', 'settled', 'behind'] },
    grid: [grid(70, 180), grid(290, 110), grid(430, bars)],
    xAxis: [0, 1, 2].map(gridIndex => ({
      ...time,
      gridIndex,
      axisLabel: { ...time.axisLabel, show: gridIndex === 2 },
    })),
    yAxis: [
      { gridIndex: 0, name: 'packages/s', min: 0 },
      { gridIndex: 1, name: 'packages', min: 0 },
      { gridIndex: 2, type: 'category', data: kinds, axisTick: { show: false } },
    ],
    series: [
      line('given out', 0, rates(samples, 'produced')),
      line('settled', 0, rates(samples, 'settled')),
      {
        ...line(
          'behind',
          1,
          samples.map(({ at, behind }) => [at / 1000, behind]),
        ),
        areaStyle: { opacity: 0.2 },
      },
      {
        type: 'custom',
        xAxisIndex: 2,
        yAxisIndex: 2,
        renderItem: bar,
        itemStyle: { color: '#b279a2' },
        data: faults.map(({ kind, from, to = ms }) => [from / 1000, to / 1000, kinds.indexOf(kind)]),
      },
    ],
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

function line(name: string, grid: number, data: number[][]) {
  return {
    type: 'line' as const,
    name,
    data,
    xAxisIndex: grid,
    yAxisIndex: grid,
    showSymbol: false,
    lineStyle: { width: 1.2 },
  }
}

/** Per second, between samples at least a second apart. What Redis forgot and what came back can make it fall: not below 0. */
function rates(samples: readonly Sample[], of: 'produced' | 'settled'): number[][] {
  const found: number[][] = []
  let before = samples[0]
  for (const sample of samples) {
    if (!before || sample.at - before.at < 1000) continue
    const rate = ((sample[of] - before[of]) / (sample.at - before.at)) * 1000
    found.push([sample.at / 1000, Math.max(0, Math.round(rate))])
    before = sample
  }
  return found
}

/** A bar from begin to end, at least a pixel wide. */
const bar: CustomSeriesRenderItem = (_, api) => {
  const [left = 0, middle = 0] = api.coord([api.value(0), api.value(2)])
  const [right = 0] = api.coord([api.value(1), api.value(2)])
  const shape = { x: left, y: middle - ROW / 2 + 3, width: Math.max(1, right - left), height: ROW - 6 }
  return { type: 'rect', shape, style: { fill: String(api.visual('color')) } }
}
