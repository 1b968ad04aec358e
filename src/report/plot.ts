/** @file Plots as SVG: lines over an axis, and bars of named values. */
import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from 'd3-scale';
import { area as areaPath, line as linePath } from 'd3-shape';
import { fitText, isInMainFont, textWidth } from '../drawing/text.js';
import { type Html, html } from './markup.js';
import type { ColourName } from './palette.js';
import type { Label, Pen } from './pen.js';
import type { Point } from './series.js';

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  readonly colour: ColourName;
  readonly width: number;
  readonly opacity?: number;
  /** Filled down to the axis. */
  readonly area?: boolean;
  /** Lengths of strokes and gaps of a dashed line. */
  readonly dash?: string;
  /** A dot at every point. */
  readonly dots?: boolean;
}

export interface LinePlot {
  readonly kind: 'lines';
  readonly xTitle: string;
  /** Whether x counts something, so that its axis has whole numbers only. */
  readonly wholeX?: boolean;
  readonly yTitle: string;
  /** Text of a number at the y axis; the plain number without it. */
  readonly yText?: (value: number) => string;
  /** Ranges of the axes; without them those of the points, y from 0. */
  readonly xDomain?: readonly [number, number];
  readonly yDomain?: readonly [number, number];
  readonly logarithmic?: boolean;
  readonly lines: readonly Line[];
  /** A point with a ring around it and words above it. */
  readonly marked?: { readonly x: number; readonly y: number; readonly text: string };
  /** A sentence in the plot that says why it looks empty. */
  readonly remark?: string;
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

/** Size of a drawing, in units of the SVG. */
export interface PlotSize {
  readonly width: number;
  /** Height of line plots; the height of bars follows from their number. */
  readonly height: number;
  readonly fontSize: number;
}

/** The place of the axes in the drawing, and the values at both ends of the horizontal one. */
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
  /** Contents of an `svg` element of this width and height. */
  readonly body: Html;
  readonly frame: PlotFrame;
}

/** Heights and widths in em, as in a style sheet. */
const LINE_HEIGHT = 1.5;
const GAP = 0.5;
/** Mean width of a character: the font is the reader's, so that text cannot be measured. */
const CHARACTER_WIDTH = 0.55;

const MAX_X_TICKS = 10;
const LINES_PER_Y_TICK = 3;

/** Draws a plot. */
export function drawPlot(plot: Plot, size: PlotSize, pen: Pen): DrawnPlot {
  return plot.kind === 'lines' ? drawLines(plot, size, pen) : drawBars(plot, size, pen);
}

type Scale = ScaleContinuousNumeric<number, number>;

interface Axis {
  readonly scale: Scale;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

function drawLines(plot: LinePlot, size: PlotSize, pen: Pen): DrawnPlot {
  const { width, height, fontSize } = size;
  const line = LINE_HEIGHT * fontSize;
  const [top, bottom] = [round(line + fontSize), round(height - 2 * line)];
  const y = yAxis(plot, size, [bottom, top]);
  const widest = Math.max(...y.ticks.map(({ text }) => textRoom(text, fontSize)));
  const [left, right] = [round(widest + GAP * fontSize), round(width - GAP * fontSize)];
  const x = xAxis(plot, size, [left, right]);
  const label = (at: Pick<Label, 'x' | 'y' | 'text' | 'anchor'>) =>
    pen.text({ ...at, size: fontSize, colour: 'muted' });
  const body = html`${y.ticks.map(({ value, text }) => {
    const at = round(y.scale(value));
    return html`<path d="M${left} ${at}H${right}" stroke="${pen.colour('grid')}"/>${label({
      x: round(left - GAP * fontSize),
      y: round(at + fontSize / 3),
      text,
      anchor: 'end',
    })}`;
  })}<path d="M${left} ${bottom}H${right}" stroke="${pen.colour('muted')}"/>${x.ticks.map(({ value, text }) =>
    label({ ...anchored(x.scale(value), text, size), y: round(bottom + fontSize * 1.4), text }),
  )}${label({ x: 0, y: fontSize, text: plot.yTitle })}${label({
    x: right,
    y: round(height - GAP * fontSize),
    text: plot.xTitle,
    anchor: 'end',
  })}${plot.lines.map((one) => lineMarks(one, x.scale, y.scale, pen))}${
    plot.marked ? markedPoint(plot.marked, { x: x.scale, y: y.scale, size }, pen) : null
  }${plot.remark === undefined ? null : remark(plot.remark, { left, right, y: top + (bottom - top) * 0.3 }, { size, pen })}`;
  const [from, to] = x.scale.domain();
  return { width, height, body, frame: { left, right, top, bottom, from, to } };
}

function yAxis(plot: LinePlot, { fontSize }: PlotSize, range: [number, number]): Axis {
  const toText = plot.yText ?? plainNumber;
  const toTicks = (values: readonly number[]) => values.map((value) => ({ value, text: toText(value) }));
  if (plot.logarithmic) {
    const scale = scaleLog(yRange(plot), range).nice();
    // Between the powers of ten there is no room for numbers.
    return { scale, ticks: toTicks(scale.ticks().filter((value) => Number.isInteger(Math.log10(value)))) };
  }
  const count = Math.max(2, (range[0] - range[1]) / (LINES_PER_Y_TICK * LINE_HEIGHT * fontSize));
  const scale = plot.yDomain
    ? scaleLinear(plot.yDomain, range)
    : scaleLinear(yRange(plot), range).nice(count);
  return { scale, ticks: toTicks(scale.ticks(count)) };
}

/** The axis with as many numbers as fit beside each other. */
function xAxis(plot: LinePlot, { fontSize }: PlotSize, range: [number, number]): Axis {
  const scale = scaleLinear(plot.xDomain ?? xRange(plot.lines), range);
  const isShown = (value: number) => !plot.wholeX || Number.isInteger(value);
  let ticks: Axis['ticks'] = [];
  for (let count = MAX_X_TICKS; count > 0; count--) {
    ticks = scale
      .ticks(count)
      .filter(isShown)
      .map((value) => ({ value, text: plainNumber(value) }));
    // Between two neighbouring iterations there may be none.
    if (ticks.length === 0)
      ticks = [...new Set(ends(plot.lines))].map((value) => ({ value, text: plainNumber(value) }));
    const room = Math.max(...ticks.map(({ text }) => textRoom(text, fontSize)));
    if (ticks.length * (room + 2 * fontSize) <= range[1] - range[0]) break;
  }
  return { scale, ticks };
}

/** The first and the last x of the points. */
function ends(lines: readonly Line[]): [number, number] {
  const values = lines.flatMap(({ points }) => points.map(({ x }) => x));
  return [Math.min(...values), Math.max(...values)];
}

/** Words in the plot, on as many lines as they need. */
function remark(
  text: string,
  { left, right, y }: { left: number; right: number; y: number },
  { size: { fontSize }, pen }: { size: PlotSize; pen: Pen },
): Html {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && textRoom(longer, fontSize) <= right - left) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const first = y - ((lines.length - 1) / 2) * LINE_HEIGHT * fontSize;
  return html`${lines.map((line, i) =>
    pen.text({
      x: round((left + right) / 2),
      y: round(first + i * LINE_HEIGHT * fontSize),
      text: line,
      size: fontSize,
      colour: 'muted',
      anchor: 'middle',
    }),
  )}`;
}

function lineMarks(line: Line, x: Scale, y: Scale, pen: Pen): Html {
  const { points, area, dots, width, opacity = 1 } = line;
  const paint = pen.colour(line.colour);
  const isKnown = (point: Point) => point.y !== null;
  const atX = (point: Point) => x(point.x);
  const atY = (point: Point) => y(point.y!);
  const top = linePath<Point>(atX, atY).defined(isKnown).digits(1)(points as Point[]);
  const filled = areaPath<Point>(atX, y.range()[0], atY).defined(isKnown).digits(1);
  return html`<g opacity="${opacity}">${
    area ? html`<path d="${filled(points as Point[])}" fill="${paint}" fill-opacity="0.2"/>` : null
  }<path d="${top}" fill="none" stroke="${paint}" stroke-width="${width}"${line.dash === undefined ? null : html` stroke-dasharray="${line.dash}"`} stroke-linejoin="round"/>${
    dots
      ? points
          .filter(isKnown)
          .map(
            (point) =>
              html`<circle cx="${round(atX(point))}" cy="${round(atY(point))}" r="3" fill="${paint}"/>`,
          )
      : null
  }</g>`;
}

interface Coordinates {
  readonly x: Scale;
  readonly y: Scale;
  readonly size: PlotSize;
}

function markedPoint({ x, y, text }: NonNullable<LinePlot['marked']>, scales: Coordinates, pen: Pen): Html {
  const { size } = scales;
  const [cx, cy] = [round(scales.x(x)), round(scales.y(y))];
  const label = pen.text({
    ...anchored(cx, text, size),
    y: round(cy - size.fontSize),
    text,
    size: size.fontSize,
    colour: 'ink',
    bold: true,
  });
  return html`<circle cx="${cx}" cy="${cy}" r="6" fill="none" stroke="${pen.colour('ink')}" stroke-width="2"/>${label}`;
}

/** A place for text that is centred at x unless it would leave the drawing. */
function anchored(x: number, text: string, { width, fontSize }: PlotSize): Pick<Label, 'x' | 'anchor'> {
  const half = textRoom(text, fontSize) / 2;
  if (x < half) return { x: 0, anchor: 'start' };
  if (x > width - half) return { x: width, anchor: 'end' };
  return { x: round(x), anchor: 'middle' };
}

function xRange(lines: readonly Line[]): [number, number] {
  const [low, high] = ends(lines);
  return low < high ? [low, high] : [low - 1, low + 1];
}

function yRange({ lines, logarithmic, marked }: LinePlot): [number, number] {
  const values = lines.flatMap(({ points }) => points.flatMap(({ y }) => y ?? []));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (logarithmic) return [low, high];
  // Room above for the words at the marked point.
  const top = marked ? high * 1.18 : high;
  return [Math.min(0, low), top > 0 ? top : 1];
}

/** Draws each bar with its name and value above it, so that long names have room on a narrow screen. */
function drawBars({ bars, colour }: BarPlot, { width, fontSize }: PlotSize, pen: Pen): DrawnPlot {
  const row = 2 * LINE_HEIGHT * fontSize;
  const x = scaleLinear([0, 1], [0, width]);
  const bar = (y: number, to: number, paint: ColourName) =>
    html`<rect y="${y}" width="${round(x(to))}" height="${round(GAP * fontSize)}" rx="2" fill="${pen.colour(paint)}"/>`;
  const body = html`${bars.map(({ name, value, note }, i) => {
    const baseline = round(i * row + fontSize);
    const y = round(i * row + LINE_HEIGHT * fontSize);
    const room = width - textRoom(note, fontSize) - fontSize;
    return html`${pen.text({ x: 0, y: baseline, text: shorten(name, room, fontSize), size: fontSize, colour: 'ink' })}${pen.text(
      { x: width, y: baseline, text: note, size: fontSize, colour: 'muted', anchor: 'end' },
    )}${bar(y, 1, 'grid')}${bar(y, value, colour)}`;
  })}`;
  const height = round(row * bars.length);
  return { width, height, body, frame: { left: 0, right: width, top: 0, bottom: height, from: 0, to: 1 } };
}

/** The width that text may take. */
export function textRoom(text: string, fontSize: number): number {
  if (!isInMainFont(text)) return textWidth(text, fontSize);
  return text.length * CHARACTER_WIDTH * fontSize;
}

/** The text, or as much of its beginning as has room. */
function shorten(text: string, room: number, fontSize: number): string {
  if (!isInMainFont(text)) return fitText(text, fontSize, room);
  const count = Math.floor(room / (CHARACTER_WIDTH * fontSize));
  return text.length <= count ? text : `${text.slice(0, count - 1).trimEnd()}…`;
}

function plainNumber(value: number): string {
  // Whole numbers have all their digits: neighbouring iterations of a long run differ in the last.
  return value.toLocaleString('en', Number.isInteger(value) ? {} : { maximumSignificantDigits: 6 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
