/** @file The headline numbers of a run. */
import { clipsPerStep } from '../data/data_config.js';
import { bestEvaluation } from '../run/evaluations.js';
import type { Run } from '../run/read_run.js';
import { isObject, numberOrNull, stringOr } from '../util/json.js';
import { count, duration, gib, significant } from '../util/text.js';
import { lossOf } from './curves.js';
import { quantile } from './series.js';

/** A number with its label and a note. */
export interface Headline {
  readonly label: string;
  readonly value: string;
  readonly note: string;
  /** Finished share from 0 to 1, if the end is known. */
  readonly progress?: number;
}

/** Total time of all steps of the run, in seconds. */
export function trainingSeconds({ metrics }: Run): number {
  // A line holds the mean of the steps since the line before it.
  return metrics.reduce(
    (sum, { iteration, seconds }, i) => sum + (seconds ?? 0) * (iteration - (metrics[i - 1]?.iteration ?? 0)),
    0,
  );
}

/** Iterations of the whole run; null if the configuration is unknown. */
export function maxIterations({ config }: Run): number | null {
  const solver = config?.config?.SOLVER;
  return solver ? solver.MAX_EPOCH * solver.ITER_PER_EPOCH : null;
}

export function headlines(run: Run): Headline[] {
  return [iterations(run), loss(run), meanPrecision(run), throughput(run), time(run), machine(run)];
}

function iterations(run: Run): Headline {
  const done = run.metrics.at(-1)?.iteration ?? 0;
  const max = maxIterations(run);
  if (max === null) return { label: 'Iterations', value: count(done), note: '' };
  return {
    label: 'Iterations',
    value: count(done),
    note: done >= max ? `all of ${count(max)}` : `of ${count(max)}, ${Math.floor((100 * done) / max)} %`,
    progress: Math.min(1, done / max),
  };
}

function loss({ metrics }: Run): Headline {
  const points = lossPoints(metrics);
  const last = points.at(-1);
  if (last === undefined) return { label: 'Loss', value: '–', note: 'nothing logged yet' };
  const before = points.at(-2)?.iteration ?? last.iteration - 1;
  const isMean = last.iteration - before > 1;
  const of = isMean
    ? `mean of iterations ${count(before + 1)} to ${count(last.iteration)}`
    : `at iteration ${count(last.iteration)}`;
  const single = isMean && last.single !== null ? `; ${last.single.toFixed(3)} in the last one` : '';
  const first =
    points.length > 1 ? `; ${points[0].value.toFixed(3)} at iteration ${count(points[0].iteration)}` : '';
  return { label: 'Loss', value: last.value.toFixed(3), note: `${of}${single}${first}` };
}

/** The points of the loss curve: means since the previous line, beside the loss of the iteration itself. */
export function lossPoints(
  metrics: Run['metrics'],
): { iteration: number; value: number; single: number | null }[] {
  return metrics.flatMap((line) => {
    const value = lossOf(line);
    return value === null ? [] : [{ iteration: line.iteration, value, single: line.loss }];
  });
}

function meanPrecision({ evaluations }: Run): Headline {
  const best = bestEvaluation(evaluations);
  if (best?.mAP == null) return { label: 'Best mAP', value: '–', note: 'not evaluated yet' };
  const last = evaluations.at(-1)!;
  const note =
    last === best || last.mAP === null ? '' : `; ${last.mAP.toFixed(3)} at ${count(last.iteration)}`;
  return {
    label: 'Best mAP',
    value: best.mAP.toFixed(3),
    note: `at iteration ${count(best.iteration)}${note}`,
  };
}

function throughput({ metrics, config }: Run): Headline {
  const step = quantile(
    metrics.map(({ seconds }) => seconds),
    0.5,
  );
  if (step === null || step <= 0) return { label: 'Throughput', value: '–', note: '' };
  const waits = metrics.map(({ dataSeconds }) => dataSeconds);
  const wait = quantile(waits, 0.5);
  const waiting = wait === null ? '' : `, ${Math.round((100 * wait) / step)} % of it waiting for data`;
  const clips = config?.config ? clipsPerStep(config.config) : undefined;
  const perStep = `${significant(step, 3)} s a step${waiting}`;
  if (clips === undefined)
    return { label: 'Throughput', value: `${significant(1 / step, 3)} steps/s`, note: perStep };
  return { label: 'Throughput', value: `${significant(clips / step, 3)} clips/s`, note: perStep };
}

function time(run: Run): Headline {
  const { metrics } = run;
  const left = metrics.at(-1)?.etaSeconds ?? 0;
  const since = metrics.length === 0 ? '' : 'in training steps';
  return {
    label: 'Time',
    value: duration(trainingSeconds(run)),
    note: left > 0 ? `${since}; ${duration(left)} left at this pace` : since,
  };
}

function machine({ environment, engine }: Run): Headline {
  const info = isObject(environment?.engine) ? environment.engine : null;
  const description = stringOr(info?.description, engine ?? '');
  const gpu = isObject(info?.gpu) ? stringOr(info.gpu.name, '') : '';
  const cpu = stringOr(environment?.cpu, '');
  const cores = numberOrNull(environment?.cores);
  const memory = numberOrNull(environment?.memory_bytes);
  const size = [cores === null ? '' : `${cores} cores`, memory === null ? '' : gib(memory)]
    .filter(Boolean)
    .join(', ');
  const name = gpu || cpu || description.split(',')[0];
  return { label: 'Machine', value: name || '–', note: [size, description].filter(Boolean).join('; ') };
}
