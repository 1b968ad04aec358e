/** @file The report of a check, as lines and as JSON. */
import { countOf, gib, significant } from '../util/text.js';
import type { CheckPart, CheckReport } from './check.js';
import { errorText, limitText } from './compare.js';
import { FAMILIES } from './families/index.js';
import type { FamilyOutcome } from './run_family.js';
import type { Speed } from './speed/measure.js';
import type { StepTime } from './speed/model_step.js';
import type { Rate, Rates } from './speed/rates.js';
import type { TrainingOutcome } from './training_step/check_training.js';

/** Writes a check mark or a cross. */
type Mark = (isGood: boolean) => string;

const NAME_WIDTH = Math.max(...FAMILIES.map(({ name }) => name.length));
const COUNT_WIDTH = 8;
const ERROR_WIDTH = 28;
const LINE_WIDTH = NAME_WIDTH + COUNT_WIDTH + ERROR_WIDTH + 4;

/** The lines of a finished part. */
export function partText(part: CheckPart, mark: Mark): string {
  if (part.kind === 'family') return familyLine(part.outcome, mark);
  const lines = part.kind === 'training' ? trainingLines(part.outcome, mark) : speedLines(part.outcome, mark);
  return lines.join('\n');
}

function familyLine({ family, ok, cases, difference, seconds }: FamilyOutcome, mark: Mark): string {
  const { norm } = family.tolerance;
  const error =
    norm === 0 ? (ok ? 'exact' : 'differs') : `error ${errorText(difference.norm)}, ${limitText(norm)}`;
  const count = countOf(cases.length, 'case').padStart(COUNT_WIDTH);
  const line = `${family.name.padEnd(NAME_WIDTH)}  ${count}  ${error}`;
  return `${mark(ok)} ${timed(line, seconds)}`;
}

/** A line with the seconds at its end, below those of other lines. */
function timed(line: string, seconds: number): string {
  return `${line.padEnd(LINE_WIDTH)}  ${seconds.toFixed(1).padStart(4)} s`;
}

function trainingLines({ ok, torch, steps, kinds, seconds }: TrainingOutcome, mark: Mark): string[] {
  const title = `${steps} training steps of a tiny model, compared with PyTorch ${torch}`;
  return [
    `${mark(ok)} ${timed(title, seconds)}`,
    ...kinds.map(
      ({ kind, count, error, tolerance }) =>
        `    ${String(count).padStart(3)} ${kind.padEnd(14)}  error ${errorText(error)}, ${limitText(tolerance)}`,
    ),
  ];
}

function speedLines({ rates, step, share, problem }: Speed, mark: Mark): string[] {
  return [
    problem === null ? 'speed' : `${mark(false)} speed: ${problem}`,
    ...(rates === null ? [] : rateLines(rates)),
    ...(step === null || share === null ? [] : stepLines(step, share)),
  ];
}

function rateLines({ copy, matMul, attention, tf32, bfloat16 }: Rates): string[] {
  const line = (name: string, { rate, unit, name: what, best }: Rate) => {
    const share =
      best === undefined
        ? ''
        : `, ${Math.round((100 * rate) / best)} % of the card's ${significant(best, 3)}`;
    return speedLine(name, `${significant(rate, 3)} ${unit}`, what + share);
  };
  return [
    line('copy', copy),
    line('product', matMul),
    ...(tf32 ? [line('tf32', tf32)] : []),
    ...(bfloat16 ? [line('bfloat16', bfloat16)] : []),
    line('attention', attention),
  ];
}

function stepLines({ model, shape, flops, seconds, firstSeconds }: StepTime, share: number): string[] {
  const [clips, ...sizes] = shape;
  const rate = `${significant(flops / seconds / 1e9, 3)} GFLOP/s, ${Math.round(100 * share)} % of the product`;
  const what = `${rate}; ${model}, ${countOf(clips, 'clip')} of ${sizes.join('×')}`;
  return [
    speedLine('step', `${significant(seconds, 3)} s`, what),
    speedLine('', `${significant(firstSeconds, 3)} s`, 'the first step, which compiles'),
  ];
}

function speedLine(name: string, value: string, what: string): string {
  return `    ${name.padEnd(9)}  ${value.padStart(13)}  ${what}`;
}

/** The last lines: memory, warnings, and what differs. */
export function summaryText({ memory, warnings, failures, seconds }: CheckReport, mark: Mark): string {
  const gpu = memory.gpuBytes === undefined ? '' : `, GPU ${gib(memory.gpuBytes)} in use`;
  const time = `(${seconds.toFixed(0)} s)`;
  const verdict =
    failures.length === 0
      ? `${mark(true)} the engine computes correctly ${time}`
      : `${mark(false)} ${countOf(failures.length, 'failure')} ${time}:`;
  return [
    `memory: process ${gib(memory.rssBytes)}, peak ${gib(memory.peakBytes)}${gpu}`,
    ...warnings.map((warning) => `warning: ${warning}`),
    '',
    verdict,
    ...failures.map((failure) => `  ${failure}`),
  ].join('\n');
}

/** The report as one JSON object, keys in snake case. Differences that are infinite are null. */
export function checkReportJson(report: CheckReport): string {
  const { engine, training, speed, memory, failures, warnings, seconds } = report;
  const { engine: name, device, description, version, threads, gpu } = engine;
  return JSON.stringify(
    snakeCase({
      ok: failures.length === 0,
      engine: { engine: name, device, description, version, threads, gpu },
      families: report.families.map(({ family, failures: _, ...outcome }) => ({
        name: family.name,
        tolerance: family.tolerance,
        reason: family.reason,
        ...outcome,
      })),
      training,
      speed,
      memory,
      warnings,
      failures,
      seconds,
    }),
    null,
    2,
  );
}

/** A copy of a value whose keys are in snake case. */
function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCase(entry),
    ]),
  );
}
