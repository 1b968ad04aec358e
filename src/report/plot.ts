/** @file Plots as SVG, drawn by Vega: lines over an axis, and bars of named values. */
import { type Axis, Error as LOG_ERRORS, type Mark, parse, type Scale, type Spec, View } from 'vega';
import { fitText } from '../drawing/text.js';
import { type ColourName, colour } from './palette.js';
import type { Point } from './series.js';

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  readonly colour: ColourName;
  readonly width: number;
  readonly opacity?: number;
  /** Filled down to the axis. */
  readonly area?: boolean;
  /** A dot at every point. */
  readonly dots?: boolean;
  /** Not named in the legend and the table. */
  readonly silent?: boolean;
}

export interface LinePlot {
  readonly kind: 'lines';
  readonly xTitle: string;
  readonly yTitle: string;
  /** As d3-format writes it; of the axes. */
  readonly xFormat: string;
  readonly yFormat: string;
  /** The range of the axes; without it that of the points, y from 0. */
  readonly xDomain?: readonly [number, number];
  readonly yDomain?: readonly [number, number];
  readonly logarithmic?: boolean;
  readonly lines: readonly Line[];
  /** A point with a ring around it and words beside it. */
  readonly marked?: { readonly x: number; readonly y: number; readonly text: string };
}

export interface Bar {
  readonly name: string;
  /** From 0 to 1. */
  readonly value: number;
  readonly note: string;
}

export interface BarPlot {
  readonly kind: 'bars';
  readonly bars: readonly Bar[];
  readonly colour: ColourName;
}

export type Plot = LinePlot | BarPlot;

/** How large a plot is drawn. */
export interface PlotSize {
  readonly width: number;
  /** Of line plots; bars take what they need. */
  readonly height: number;
  readonly fontSize: number;
}

/** Where the axes lie in the drawing, and the values at both ends of the horizontal one. */
export interface PlotFrame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly from: number;
  readonly to: number;
}

export interface DrawnPlot {
  readonly width: number;
  readonly height: number;
  /** The contents of an `svg` element of this width and height; colours are variables. */
  readonly body: string;
  readonly frame: PlotFrame;
}

const FONT = 'sans-serif';

/** Draws a plot. */
export async function drawPlot(plot: Plot, size: PlotSize): Promise<DrawnPlot> {
  const { spec, frame } = plot.kind === 'lines' ? lineSpec(plot, size) : barSpec(plot, size);
  const view = new View(parse(spec), { renderer: 'none', logLevel: LOG_ERRORS });
  try {
    const svg = await view.toSVG();
    return { width: size.width, height: frame.bottom + bottomMargin(plot, size), body: contents(svg), frame };
  } finally {
    view.finalize();
  }
}

/** What is between the tags of the `svg` element, without what neither shows nor says anything. */
function contents(svg: string): string {
  return svg
    .replace(/^[\s\S]*?<svg[^>]*>/, '')
    .replace(/<\/svg>\s*$/, '')
    .replace(/<path class="(?:background|foreground)"[^>]*\/>/g, '')
    .replace(
      / (?:class|role|pointer-events|aria-[a-z]+|stroke-miterlimit|opacity|stroke-width)="([^"]*)"/g,
      (text) => (/ (?:opacity|stroke-width)="(?!1")/.test(text) ? text : ''),
    )
    .replace(/<g><\/g>/g, '');
}

const leftMargin = ({ fontSize }: PlotSize) => Math.round(fontSize * 3.4);
const topMargin = ({ fontSize }: PlotSize) => Math.round(fontSize * 2.1);
const bottomMargin = (plot: Plot, { fontSize }: PlotSize) =>
  plot.kind === 'lines' ? Math.round(fontSize * 3.1) : 2;

function lineSpec(plot: LinePlot, size: PlotSize): { spec: Spec; frame: PlotFrame } {
  const { fontSize } = size;
  const [xDomain, yDomain] = [plot.xDomain ?? xRange(plot.lines), plot.yDomain ?? yRange(plot)];
  const frame = {
    left: leftMargin(size),
    right: size.width - Math.round(fontSize * 0.9),
    top: topMargin(size),
    bottom: size.height - bottomMargin(plot, size),
    from: xDomain[0],
    to: xDomain[1],
  };
  const [width, height] = [frame.right - frame.left, frame.bottom - frame.top];
  const scales: Scale[] = [
    { name: 'x', type: 'linear', domain: [...xDomain], range: 'width', zero: false },
    plot.logarithmic
      ? { name: 'y', type: 'log', domain: [...yDomain], range: 'height' }
      : {
          name: 'y',
          type: 'linear',
          domain: [...yDomain],
          range: 'height',
          nice: !plot.yDomain,
          zero: false,
        },
  ];
  const text = (x: number, y: number, words: string, align: 'left' | 'right'): Mark => ({
    type: 'text',
    aria: false,
    encode: {
      enter: {
        x: { value: x },
        y: { value: y },
        text: { value: words },
        align: { value: align },
        fill: { value: colour('muted') },
        fontSize: { value: fontSize },
        font: { value: FONT },
      },
    },
  });
  const spec: Spec = {
    width,
    height,
    autosize: 'none',
    padding: margins(frame, size),
    data: plot.lines.map(({ points }, i) => ({
      name: `line${i}`,
      values: points.map(({ x, y }) => ({ x, y })),
    })),
    scales,
    axes: axes(plot, yDomain, size, width, height),
    marks: [
      text(-frame.left, -Math.round(fontSize * 1.1), plot.yTitle, 'left'),
      text(width, height + Math.round(fontSize * 2.7), plot.xTitle, 'right'),
      ...plot.lines.flatMap((line, i) => lineMarks(line, `line${i}`)),
      ...(plot.marked ? markedPoint(plot.marked, xDomain, fontSize) : []),
    ],
  };
  return { spec, frame };
}

function margins({ left, right, top, bottom }: PlotFrame, { width }: PlotSize) {
  return { left, top, right: width - right, bottom };
}

function axes(
  plot: LinePlot,
  yDomain: readonly number[],
  size: PlotSize,
  width: number,
  height: number,
): Axis[] {
  const { fontSize } = size;
  const common: Partial<Axis> = {
    ticks: false,
    aria: false,
    labelFont: FONT,
    labelFontSize: fontSize,
    labelColor: colour('muted'),
    labelPadding: Math.round(fontSize * 0.6),
  };
  return [
    {
      ...common,
      scale: 'y',
      orient: 'left',
      domain: false,
      grid: true,
      gridColor: colour('grid'),
      encode: labels(plot.yFormat),
      // Between the powers of ten the labels of a logarithmic axis would only crowd it.
      ...(plot.logarithmic
        ? { values: powersOfTen(yDomain) }
        : { tickCount: Math.max(2, Math.round(height / (fontSize * 4))) }),
    },
    {
      ...common,
      scale: 'x',
      orient: 'bottom',
      domainColor: colour('muted'),
      encode: labels(plot.xFormat),
      tickCount: Math.max(2, Math.min(10, Math.round(width / (fontSize * 5.5)))),
      labelFlush: true,
      labelOverlap: 'greedy',
    },
  ];
}

/** Zero is 0 in every format. */
function labels(format: string): Axis['encode'] {
  return {
    labels: { update: { text: { signal: `datum.value === 0 ? '0' : format(datum.value, '${format}')` } } },
  };
}

function powersOfTen([low, high]: readonly number[]): number[] {
  const from = Math.ceil(Math.log10(low) - 1e-9);
  const to = Math.floor(Math.log10(high) + 1e-9);
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
}

function lineMarks(line: Line, data: string): Mark[] {
  const at = {
    x: { scale: 'x', field: 'x' },
    y: { scale: 'y', field: 'y' },
    defined: { signal: 'isValid(datum.y)' },
    opacity: { value: line.opacity ?? 1 },
  };
  const paint = { value: colour(line.colour) };
  const marks: Mark[] = [];
  if (line.area) {
    marks.push({
      type: 'area',
      aria: false,
      from: { data },
      encode: { enter: { ...at, y2: { scale: 'y', value: 0 }, fill: paint, fillOpacity: { value: 0.2 } } },
    });
  }
  marks.push({
    type: 'line',
    aria: false,
    from: { data },
    encode: {
      enter: { ...at, stroke: paint, strokeWidth: { value: line.width }, strokeJoin: { value: 'round' } },
    },
  });
  if (line.dots) {
    const { defined, ...place } = at;
    marks.push({
      type: 'symbol',
      aria: false,
      from: { data },
      encode: { enter: { ...place, size: [{ test: defined.signal, value: 28 }, { value: 0 }], fill: paint } },
    });
  }
  return marks;
}

function markedPoint(
  { x, y, text }: NonNullable<LinePlot['marked']>,
  [from, to]: readonly [number, number],
  fontSize: number,
): Mark[] {
  const place = { x: { scale: 'x', value: x }, y: { scale: 'y', value: y } };
  const share = to > from ? (x - from) / (to - from) : 0;
  const align = share < 0.2 ? 'left' : share > 0.8 ? 'right' : 'center';
  return [
    {
      type: 'symbol',
      aria: false,
      encode: {
        enter: {
          ...place,
          size: { value: 110 },
          stroke: { value: colour('ink') },
          strokeWidth: { value: 2 },
        },
      },
    },
    {
      type: 'text',
      aria: false,
      encode: {
        enter: {
          ...place,
          dy: { value: -fontSize },
          text: { value: text },
          align: { value: align },
          fill: { value: colour('ink') },
          font: { value: FONT },
          fontSize: { value: fontSize },
          fontWeight: { value: 'bold' },
        },
      },
    },
  ];
}

function xRange(lines: readonly Line[]): [number, number] {
  const values = lines.flatMap(({ points }) => points.map(({ x }) => x));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low < high ? [low, high] : [low - 1, low + 1];
}

function yRange({ lines, logarithmic, marked }: LinePlot): [number, number] {
  const values = lines.flatMap(({ points }) => points.flatMap(({ y }) => (y === null ? [] : [y])));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (logarithmic) return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high))];
  // Room above for the words beside the marked point.
  const top = marked ? high * 1.18 : high;
  return [Math.min(0, low), top > 0 ? top : 1];
}

/** Each bar with its name and value above it, so that long names have room on a narrow screen. */
function barSpec({ bars, colour: paint }: BarPlot, size: PlotSize): { spec: Spec; frame: PlotFrame } {
  const { width, fontSize } = size;
  const row = Math.round(fontSize * 2.9);
  const thickness = Math.round(fontSize * 0.6);
  const height = row * bars.length;
  const values = bars.map(({ name, value, note }, i) => ({
    name: fitText(name, fontSize * 1.1, width * 0.68),
    value,
    note,
    y: i * row,
  }));
  const text = (field: string, x: number, align: 'left' | 'right', ink: ColourName): Mark => ({
    type: 'text',
    aria: false,
    from: { data: 'bars' },
    encode: {
      enter: {
        x: { value: x },
        y: { field: 'y', offset: Math.round(fontSize * 1.1) },
        text: { field },
        align: { value: align },
        fill: { value: colour(ink) },
        font: { value: FONT },
        fontSize: { value: fontSize },
      },
    },
  });
  const bar = (x2: object, fill: ColourName): Mark => ({
    type: 'rect',
    aria: false,
    from: { data: 'bars' },
    encode: {
      enter: {
        x: { value: 0 },
        x2,
        y: { field: 'y', offset: Math.round(fontSize * 1.6) },
        height: { value: thickness },
        cornerRadius: { value: 2 },
        fill: { value: colour(fill) },
      },
    },
  });
  const spec: Spec = {
    width,
    height,
    autosize: 'none',
    data: [{ name: 'bars', values }],
    scales: [{ name: 'x', type: 'linear', domain: [0, 1], range: 'width' }],
    marks: [
      text('name', 0, 'left', 'ink'),
      text('note', width, 'right', 'muted'),
      bar({ value: width }, 'grid'),
      bar({ scale: 'x', field: 'value' }, paint),
    ],
  };
  return { spec, frame: { left: 0, right: width, top: 0, bottom: height, from: 0, to: 1 } };
}
