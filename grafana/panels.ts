import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BarGaugeNamePlacement,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMap,
} from '@grafana/grafana-foundation-sdk/dashboard'
import {
  CellValuesBuilder,
  PanelBuilder as Heatmap,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapTooltipBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap'
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline'
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries'
import { PROMETHEUS } from './queries.ts'

type Queries = Builder<Dataquery>[]
/** From a value on, a colour. */
type Steps = [from: number, colour: string][]

/** 1234567 -> 1,234,567 */
export const COUNT = 'locale'
export const PER_SECOND = 'count:/s'

const thresholdSteps = (base: string, steps: Steps) => ({
  mode: ThresholdsMode.Absolute,
  steps: [{ value: null, color: base }, ...steps.map(([value, color]) => ({ value, color }))],
})

const thresholds = (base: string, steps: Steps) => {
  const { mode, steps: all } = thresholdSteps(base, steps)
  return new ThresholdsConfigBuilder().mode(mode).steps(all)
}

const colour = (mode: FieldColorModeId) => new FieldColorBuilder().mode(mode)
const reduce = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false)

const legend = () =>
  new VizLegendOptionsBuilder()
    .displayMode(LegendDisplayMode.List)
    .placement(LegendPlacement.Bottom)
    .showLegend(true)

const tooltip = () => new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending)

/** Lines over time. A name keeps its colour from panel to panel. */
export function series(title: string, description: string, unit: string, queries: Queries): TimeSeries {
  return new TimeSeries()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(PROMETHEUS)
    .targets(queries)
    .span(12)
    .height(8)
    .min(0)
    .colorScheme(colour(FieldColorModeId.PaletteClassicByName))
    .lineWidth(2)
    .fillOpacity(8)
    .showPoints(VisibilityMode.Never)
    .legend(legend())
    .tooltip(tooltip())
}

/** Areas that stand on each other. */
export const stacked = (panel: TimeSeries): TimeSeries =>
  panel
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'))
    .lineWidth(1)
    .fillOpacity(60)

export const bars = (panel: TimeSeries): TimeSeries =>
  panel.drawStyle(GraphDrawStyle.Bars).lineWidth(1).fillOpacity(80)

/** For counts of rare events: a step where one happened. */
export const steps = (panel: TimeSeries): TimeSeries =>
  panel.lineInterpolation(LineInterpolation.StepAfter).decimals(0)

/** A dashed line, beyond which it is bad. */
export const limit = (panel: TimeSeries, from: number): TimeSeries =>
  panel
    .thresholds(thresholds('transparent', [[from, 'red']]))
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))

/** One number, or a few with their names. */
export function stat(title: string, description: string, unit: string, queries: Queries): Stat {
  return new Stat()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(PROMETHEUS)
    .targets(queries)
    .span(3)
    .height(4)
    .noValue('–')
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
    .textMode(queries.length > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Value)
    .reduceOptions(reduce())
    .colorScheme(colour(FieldColorModeId.Thresholds))
}

/** Gives a stat its colours. */
export const coloured = (panel: Stat, base: string, ...colours: Steps): Stat =>
  panel.thresholds(thresholds(base, colours))

/** For an override: other colours for one name. */
export const colours = (base: string, ...others: Steps): DynamicConfigValue[] => [
  { id: 'thresholds', value: thresholdSteps(base, others) },
]

export const fixed = (color: string): DynamicConfigValue[] => [
  { id: 'color', value: { mode: FieldColorModeId.Fixed, fixedColor: color } },
]

/** For an override among {@link stacked} areas: a line that stands by itself. */
export const line = (color: string): DynamicConfigValue[] => [
  ...fixed(color),
  { id: 'custom.stacking', value: { mode: StackingMode.None, group: 'A' } },
  { id: 'custom.fillOpacity', value: 0 },
  { id: 'custom.lineWidth', value: 2 },
]

/** A stat of one part of a row for each name. */
export const sideBySide = (panel: Stat): Stat => panel.orientation(VizOrientation.Vertical)

/** Shows words for values. */
export const words = (mapping: Record<number, [text: string, colour: string]>): ValueMap => ({
  type: MappingType.ValueToText,
  options: Object.fromEntries(
    Object.entries(mapping).map(([value, [text, color]], index) => [value, { text, color, index }]),
  ),
})

/** A bar for each name. */
export function barGauge(title: string, description: string, unit: string, queries: Queries): BarGauge {
  return new BarGauge()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(PROMETHEUS)
    .targets(queries)
    .span(8)
    .height(8)
    .min(0)
    .noValue('–')
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .namePlacement(BarGaugeNamePlacement.Left)
    .reduceOptions(reduce())
    .colorScheme(colour(FieldColorModeId.PaletteClassicByName))
}

/** How many of what duration, over time. */
export function heatmap(title: string, description: string, unit: string, queries: Queries): Heatmap {
  return new Heatmap()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(PROMETHEUS)
    .targets(queries)
    .span(12)
    .height(9)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Blues').reverse(true))
    .yAxis(new YAxisConfigBuilder().unit(unit))
    .cellValues(new CellValuesBuilder().unit(PER_SECOND))
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
    .showLegend()
}

/** Coloured stretches of states over time. */
export function states(title: string, description: string, queries: Queries): StateTimeline {
  return new StateTimeline()
    .title(title)
    .description(description)
    .unit('none')
    .datasource(PROMETHEUS)
    .targets(queries)
    .span(12)
    .height(8)
    .showValue(VisibilityMode.Never)
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .legend(legend())
    .tooltip(tooltip())
}
