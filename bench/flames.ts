import type { CustomSeriesRenderItemAPI } from 'echarts'
import * as echarts from 'echarts'

/** A function and those that it called. */
export interface Frame {
  readonly name: string
  /** The part of the program that it belongs to. */
  readonly area: string
  /** Ms in itself, and ms with its callees. */
  readonly self: number
  readonly ms: number
  readonly callees: readonly Frame[]
}

const WIDTH = 1200
const ROW = 17
/** Frames that would be narrower than this many pixels are left out. */
const NARROWEST = 2

const COLORS: readonly [area: RegExp, color: string][] = [
  [/^stream\//, '#f28e2b'],
  [/^ioredis|^redis-parser|^standard-as-callback/, '#4e79a7'],
  [/^rxjs/, '#b07aa1'],
  [/^Node\.js/, '#76b7b2'],
  [/^garbage/, '#e15759'],
  [/^V8/, '#bab0ac'],
]
const OTHER = '#edc948'

/** [depth, from ms, to ms, what it says, color] */
type Box = [number, number, number, string, string]

/** Draws a call tree as a flame graph: each function on top of its caller, as wide as the time it took. An SVG. */
export function drawFlames(root: Frame): string {
  const boxes = boxesOf(root)
  const depth = Math.max(...boxes.map(([level]) => level)) + 1
  const height = depth * ROW + 60
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: `CPU time of one consumer: ${Math.round(root.ms).toLocaleString('en-US')} ms`,
      subtext:
        'orange: stream/, blue: ioredis, violet: RxJS, teal: Node.js, red: garbage collection, grey: V8 and the system',
      left: 'center',
      textStyle: { fontSize: 15 },
      subtextStyle: { fontSize: 11 },
      itemGap: 4,
    },
    grid: { left: 4, right: 4, top: 48, bottom: 4 },
    xAxis: { show: false, max: root.ms },
    yAxis: { show: false, max: depth },
    series: [
      {
        type: 'custom',
        silent: true,
        emphasis: { disabled: true },
        data: boxes.map(([level, from, to], index) => [level, from, to, index]),
        renderItem: (_: unknown, api: CustomSeriesRenderItemAPI) => {
          const [, , , text, color] = boxes[Number(api.value(3))] as Box
          const [x = 0, y = 0] = api.coord([api.value(1), Number(api.value(0)) + 1])
          const [end = 0] = api.coord([api.value(2), 0])
          return {
            type: 'rect',
            shape: { x, y, width: Math.max(0.1, end - x - 0.4), height: ROW - 1 },
            style: { fill: color },
            ...(end - x > 25 && {
              textContent: {
                type: 'text',
                style: {
                  text,
                  fill: '#222',
                  fontSize: 10,
                  width: end - x - 8,
                  overflow: 'truncate',
                  ellipsis: '',
                },
              },
              textConfig: { position: 'insideLeft', distance: 2 },
            }),
          }
        },
      },
    ],
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  const picture = svg
    .replace(/<svg [^>]*>/, '$&\n<title>Flame graph of one consumer</title>')
    .replace(/ (?:ecmeta_\w+|class)="[^"]*"|<style[\s\S]*?<\/style>/g, '') // nothing reacts to the mouse
  return `${picture}\n`
}

function boxesOf(root: Frame): Box[] {
  const narrowest = (root.ms * NARROWEST) / WIDTH
  const boxes: Box[] = []
  const add = ({ name, area, ms, callees }: Frame, level: number, from: number) => {
    if (ms < narrowest) return
    boxes.push([level, from, from + ms, area === name ? name : `${name} ${area}`, colorOf(area)])
    let at = from
    for (const callee of [...callees].sort((a, b) => b.ms - a.ms)) {
      add(callee, level + 1, at)
      at += callee.ms
    }
  }
  add(root, 0, 0)
  return boxes
}

function colorOf(area: string): string {
  return COLORS.find(([pattern]) => pattern.test(area))?.[1] ?? OTHER
}
