/** @file The figures of a run, from its metrics and evaluations. */
import { drawnName } from '../drawing/names.js';
import { bestEvaluation, type ClassAp, type Evaluation, type PrecisionRecall } from '../run/evaluations.js';
import type { MetricsLine } from '../run/metrics.js';
import { count, GIB, significant } from '../util/text.js';
import type { Bar, Line, Plot } from './plot.js';
import { type Point, quantile, smooth, thin } from './series.js';

/** A plot with its title and a note. */
export interface Figure {
  /** Name of its files, and its id in the page. */
  readonly name: string;
  readonly title: string;
  /** The title in drawings, if fonts lack characters of it. */
  readonly drawnTitle?: string;
  /** A sentence that says what the plot shows. */
  readonly note: string;
  readonly plot: Plot;
  /** Width of the figure in a wide page. */
  readonly share: 'whole' | 'half' | 'third' | 'quarter';
}

/** With more classes than this, the bars show only the best and the worst. */
const MAX_BARS = 20;
const BARS_OF_EACH = 10;

/** Steps that took this many times longer than 90 % of all are left out: they would flatten the rest of the plot. */
const OUTLIER = 3;
/** If the highest learning rate is this many times the lowest one, the axis is logarithmic. */
const LOGARITHMIC_FROM = 20;

/** The loss of a line: the mean since the line before it, if the line has one. */
export function lossOf({ lossAverage, loss }: MetricsLine): number | null {
  return lossAverage ?? loss;
}

/** Memory of the process in GiB. */
export function memoryOf({ memoryBytes }: MetricsLine): number | null {
  return memoryBytes === null ? null : memoryBytes / GIB;
}

/** Lines with more points have no dots. */
export const MAX_DOTS = 60;

/** The loss as logged, and smoothed. */
export function lossFigure(metrics: readonly MetricsLine[]): Figure | null {
  const points = thin(metrics.map((line) => ({ x: line.iteration, y: lossOf(line) })));
  if (!hasValues(points)) return null;
  const smoothed = smooth(points);
  const isNoisy = smoothed.length < points.length || smoothed.some(({ y }, i) => y !== points[i].y);
  const logged: Line = { name: 'as logged', points, colour: 'blue', width: 1.25, opacity: 0.45 };
  const single: Line = { name: 'loss', points, colour: 'blue', width: 2.25, dots: points.length <= MAX_DOTS };
  return {
    name: 'loss',
    title: 'Training loss',
    note: 'The mean of all loss terms, averaged since the previous logged line.',
    share: 'whole',
    plot: {
      kind: 'lines',
      ...ITERATIONS,
      yTitle: 'loss',
      lines: isNoisy
        ? [logged, { name: 'smoothed', points: smoothed, colour: 'blue', width: 2.5 }]
        : [single],
    },
  };
}

/** Titles of the terms of the loss. */
const TERM_TITLES: Record<string, string> = {
  loss_bce: 'Actions',
  loss_ce: 'Person or not',
  loss_giou: 'Boxes, GIoU',
  loss_bbox: 'Boxes, L1',
};

/** The name and the title of the figure of a term. */
export function namesOfTerm(term: string): Pick<Figure, 'name' | 'title'> {
  return { name: term.replaceAll(/[^\w-]/g, '_'), title: TERM_TITLES[term] ?? term };
}

/** One figure per term of the loss, with a line per decoder stage. */
export function termFigures(metrics: readonly MetricsLine[]): Figure[] {
  // `loss_ce_0` belongs to the first stage, `loss_ce` to the last one.
  const stages = new Map<string, Map<number, string>>();
  for (const name of new Set(metrics.flatMap(({ losses }) => [...losses.keys()]))) {
    const [, term, stage] = /^(.*?)(?:_(\d+))?$/.exec(name)!;
    if (!stages.has(term)) stages.set(term, new Map());
    stages.get(term)!.set(stage === undefined ? Number.POSITIVE_INFINITY : Number(stage), name);
  }
  return [...stages]
    .map(([term, names]) => {
      const ordered = [...names].sort(([a], [b]) => a - b);
      const lines = ordered.map(([stage, name], i): Line => {
        const points = smooth(
          thin(metrics.map(({ iteration, losses }) => ({ x: iteration, y: losses.get(name) ?? null }))),
        );
        if (stage === Number.POSITIVE_INFINITY) {
          return { name: ordered.length > 1 ? 'last stage' : 'loss', points, colour: 'blue', width: 2.25 };
        }
        const opacity = 0.5 + (0.5 * (i + 1)) / ordered.length;
        return { name: `stage ${stage + 1}`, points, colour: 'muted', width: 1, opacity };
      });
      return {
        ...namesOfTerm(term),
        note: term,
        share: 'quarter' as const,
        plot: {
          kind: 'lines' as const,
          ...ITERATIONS,
          yTitle: '',
          lines: lines.filter(({ points }) => hasValues(points)),
        },
      };
    })
    .filter(({ plot }) => plot.lines.length > 0);
}

const ITERATIONS = { xTitle: 'iteration', wholeX: true };

/** The learning rates; parameter groups with the same learning rates share a line. */
export function lrFigure(metrics: readonly MetricsLine[]): Figure | null {
  const groups = Math.max(0, ...metrics.map(({ lr }) => lr.length));
  const byValues = new Map<string, { points: Point[]; groups: number[] }>();
  for (let group = 0; group < groups; group++) {
    const points = metrics.map(({ iteration, lr }) => ({ x: iteration, y: lr[group] ?? null }));
    const key = JSON.stringify(points);
    if (!byValues.has(key)) byValues.set(key, { points: thin(points), groups: [] });
    byValues.get(key)!.groups.push(group + 1);
  }
  const curves = [...byValues.values()];
  if (curves.length === 0) return null;
  const values = curves.flatMap(({ points }) => points.flatMap(({ y }) => y ?? []));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const colours = ['blue', 'orange', 'green', 'ink', 'muted'] as const;
  return {
    name: 'learning_rate',
    title: 'Learning rate',
    note: `${curves.length === 1 ? 'All parameter groups' : 'By parameter group'}, before layer decay.`,
    share: 'third',
    plot: {
      kind: 'lines',
      ...ITERATIONS,
      yTitle: 'lr',
      yText: (value) => (value === 0 ? '0' : Number(value.toPrecision(6)).toExponential()),
      logarithmic: low > 0 && high / low >= LOGARITHMIC_FROM,
      lines: curves.map(({ points, groups: members }, i) => ({
        name: curves.length === 1 ? 'lr' : `group ${members.join(', ')}`,
        points,
        colour: colours[i % colours.length],
        width: 2,
      })),
    },
  };
}

/** Seconds per step, and the part of them that the step waited for data. */
export function timeFigure(metrics: readonly MetricsLine[]): Figure | null {
  const usual = quantile(
    metrics.map(({ seconds }) => seconds),
    0.9,
  );
  if (usual === null) return null;
  const isOutlier = (seconds: number | null) => seconds !== null && seconds > OUTLIER * usual;
  const series = (pick: (point: MetricsLine) => number | null) =>
    thin(metrics.map((point) => ({ x: point.iteration, y: isOutlier(point.seconds) ? null : pick(point) })));
  const outliers = metrics.filter(({ seconds }) => isOutlier(seconds));
  const longest = Math.max(...outliers.map(({ seconds }) => seconds!));
  const left =
    outliers.length > 0 ? ` Not shown: ${outliers.length} of up to ${significant(longest, 3)} s.` : '';
  return {
    name: 'step_time',
    title: 'Seconds per step',
    note: `Including the time spent waiting for data.${left}`,
    share: 'third',
    plot: {
      kind: 'lines',
      ...ITERATIONS,
      yTitle: 'seconds',
      lines: [
        { name: 'step', points: series(({ seconds }) => seconds), colour: 'blue', width: 2, area: true },
        {
          name: 'waiting for data',
          points: series(({ dataSeconds }) => dataSeconds),
          colour: 'orange',
          width: 2,
          area: true,
        },
      ].filter(({ points }) => hasValues(points)) as Line[],
    },
  };
}

/** Resident memory of the process. */
export function memoryFigure(metrics: readonly MetricsLine[]): Figure | null {
  const points = thin(metrics.map((line) => ({ x: line.iteration, y: memoryOf(line) })));
  if (!hasValues(points)) return null;
  return {
    name: 'memory',
    title: 'Memory',
    note: 'Resident memory of the training process.',
    share: 'third',
    plot: {
      kind: 'lines',
      ...ITERATIONS,
      yTitle: 'GiB',
      lines: [{ name: 'memory', points, colour: 'green', width: 2, area: true }],
    },
  };
}

/** Mean average precision over the iterations, with the best one marked. */
export function mapFigure(evaluations: readonly Evaluation[]): Figure | null {
  const points = thin(evaluations.map(({ iteration, mAP }) => ({ x: iteration, y: mAP })));
  const best = bestEvaluation(evaluations);
  if (best?.mAP == null) return null;
  return {
    name: 'map',
    title: 'Mean average precision',
    note: 'On the test lists, at IoU 0.5. The ring marks the best.',
    share: isLong(evaluations[evaluations.length - 1]) ? 'whole' : 'half',
    plot: {
      kind: 'lines',
      ...ITERATIONS,
      yTitle: 'mAP',
      lines: [{ name: 'mAP', points, colour: 'blue', width: 2, dots: points.length <= MAX_DOTS }],
      marked: { x: best.iteration, y: best.mAP, text: `best ${significant(best.mAP, 3)}` },
    },
  };
}

/** Whether there are more classes than bars. */
function isLong({ perClass }: Evaluation): boolean {
  return rankedClasses(perClass).length > MAX_BARS;
}

/** Average precision of all classes, or of the best and the worst if there are many. */
export function classFigures(evaluation: Evaluation): Figure[] {
  const ranked = rankedClasses(evaluation.perClass);
  const figure = (name: string, title: string, note: string, classes: readonly RankedClass[]): Figure => ({
    name,
    title,
    note,
    share: 'half',
    plot: { kind: 'bars', bars: classes.map(toBar), colour: 'blue' },
  });
  if (ranked.length === 0) return [];
  if (!isLong(evaluation)) {
    return [
      figure('class_ap', 'Average precision by class', 'Best first. n is the number of true boxes.', ranked),
    ];
  }
  return [
    figure(
      'class_ap_best',
      `The ${BARS_OF_EACH} best classes`,
      'Average precision. n is the number of true boxes.',
      ranked.slice(0, BARS_OF_EACH),
    ),
    figure(
      'class_ap_worst',
      `The ${BARS_OF_EACH} worst classes`,
      'Average precision, worst first.',
      ranked.slice(-BARS_OF_EACH).reverse(),
    ),
  ];
}

type RankedClass = ClassAp & { readonly ap: number };

/** The classes that have an average precision, best first. */
export function rankedClasses(perClass: readonly ClassAp[]): RankedClass[] {
  return perClass.filter((one): one is RankedClass => one.ap !== null).sort((a, b) => b.ap - a.ap);
}

function toBar({ id, name, ap, groundTruth }: RankedClass): Bar {
  return {
    name: drawnName(id, name),
    value: ap,
    note: `${ap.toFixed(3)} · n ${count(groundTruth)}`,
  };
}

/** Number of precision-recall curves. The classes with the most ground truth have the smoothest ones. */
const MAX_CURVES = 8;

/** Precision over recall of the classes with the most ground truth. */
export function precisionRecallFigures(
  curves: readonly PrecisionRecall[],
  { perClass }: Evaluation,
): Figure[] {
  const byId = new Map(perClass.map((one) => [one.id, one]));
  return curves
    .filter(({ id }) => byId.get(id)?.ap != null)
    .sort((a, b) => byId.get(b.id)!.groundTruth - byId.get(a.id)!.groundTruth)
    .slice(0, MAX_CURVES)
    .map(({ id, name, precision, recall }, i) => ({
      name: `precision_recall_${i + 1}`,
      title: drawnName(id, name) === name ? name : `${name} (#${id})`,
      drawnTitle: drawnName(id, name),
      note: `AP ${byId.get(id)!.ap!.toFixed(3)}, n ${count(byId.get(id)!.groundTruth)}`,
      share: 'quarter' as const,
      plot: {
        kind: 'lines' as const,
        xTitle: 'recall',
        yTitle: 'precision',
        xDomain: [0, 1] as const,
        yDomain: [0, 1] as const,
        remark: byId.get(id)!.ap === 0 ? 'AP 0: no detection matches a true box' : undefined,
        lines: [
          {
            name: 'precision',
            points: thin(recall.map((x, j) => ({ x, y: precision[j] }))),
            colour: 'green' as const,
            width: 2,
            area: true,
          },
        ],
      },
    }));
}

function hasValues(points: readonly Point[]): boolean {
  return points.some(({ y }) => y !== null);
}
