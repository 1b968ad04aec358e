/** @file The report of a check, as lines and as JSON. */
import { countOf, gib, significant } from '../util/text.js';
import type { CheckPart, CheckReport } from './check.js';
import { FAMILIES } from './families/index.js';
import type { FamilyOutcome } from './run_family.js';
import type { Speed } from './speed/measure.js';
import type { Rate } from './speed/rates.js';
import type { TrainingOutcome } from './training_step/check_training.js';

/** Writes a check mark or a cross. */
type Mark = (isGood: boolean) => string;

const NAME_WIDTH = Math.max(...FAMILIES.map(({ name }) => name.length));

/** The lines of a finished part. */
export function partText(part: CheckPart, mark: Mark): string {
  if (part.kind === 'family') return familyLine(part.outcome, mark);
  return (part.kind === 'training' ? trainingLines(part.outcome, mark) : speedLines(part.outcome, mark)).join(
    '\n',
  );
}

function familyLine({ family, ok, cases, difference, seconds }: FamilyOutcome, mark: Mark): string {
  const { norm } = family.tolerance;
  const error =
    norm === 0 ? exactText(ok) : `error ${errorText(difference.norm)}, at most ${limitText(norm)}`;
  const count = countOf(cases.length, 'case').padStart(8);
  return `${mark(ok)} ${family.name.padEnd(NAME_WIDTH)}  ${count}  ${error.padEnd(28)}  ${seconds.toFixed(1)} s`;
}

function exactText(ok: boolean): string {
  return ok ? 'exact' : 'differs';
}

/** A tolerance, e.g. `1e-5`. */
function limitText(tolerance: number): string {
  return tolerance.toExponential();
}

function errorText(error: number): string {
  return Number.isFinite(error) ? error.toExponential(1) : 'infinite';
}

function trainingLines({ ok, torch, steps, kinds, seconds }: TrainingOutcome, mark: Mark): string[] {
  const title = `${mark(ok)} ${steps} training steps of a tiny model, compared with PyTorch ${torch}  ${seconds.toFixed(1)} s`;
  return [
    title,
    ...kinds.map(
      ({ kind, count, error, tolerance }) =>
        `    ${String(count).padStart(3)} ${kind.padEnd(14)}  error ${errorText(error)}, at most ${limitText(tolerance)}`,
    ),
  ];
}

function speedLines({ rates, step, share, problem }: Speed, mark: Mark): string[] {
  if (problem !== null) return [`${mark(false)} speed: ${problem}`];
  const line = (name: string, value: string, what: string) =>
    `    ${name.padEnd(9)}  ${value.padStart(13)}  ${what}`;
  const rate = (name: string, { rate, unit, name: what }: Rate) =>
    line(name, `${significant(rate, 3)} ${unit}`, what);
  const measured = rates
    ? [rate('copy', rates.copy), rate('product', rates.matMul), rate('attention', rates.attention)]
    : [];
  if (!step || share === null) return ['speed', ...measured];
  const [clips, frames, height, width] = step.shape;
  const clip = `${countOf(clips, 'clip')} of ${frames}×${height}×${width}`;
  const reached = `${significant(step.flops / step.seconds / 1e9, 3)} GFLOP/s, ${Math.round(100 * share)} % of the product`;
  return [
    'speed',
    ...measured,
    line('step', `${significant(step.seconds, 3)} s`, `${reached}; ${step.model}, ${clip}`),
    line('', `${significant(step.firstSeconds, 3)} s`, 'the first step, which compiles'),
  ];
}

/** The last lines: memory, warnings, and what differs. */
export function summaryText({ memory, warnings, failures, seconds }: CheckReport, mark: Mark): string {
  const gpu = memory.gpuBytes === undefined ? '' : `, GPU ${gib(memory.gpuBytes)}`;
  const time = `(${seconds.toFixed(0)} s)`;
  const verdict =
    failures.length === 0
      ? `${mark(true)} the engine computes correctly ${time}`
      : `${mark(false)} ${countOf(failures.length, 'difference')} ${time}:`;
  return [
    `memory: process ${gib(memory.rssBytes)}, at most ${gib(memory.peakBytes)}${gpu}`,
    ...warnings.map((warning) => `warning: ${warning}`),
    '',
    verdict,
    ...failures.map((failure) => `  ${failure}`),
  ].join('\n');
}

/** The report as one JSON object, keys in snake case. Differences that are infinite are null. */
export function checkReportJson(report: CheckReport): string {
  const { engine, training, speed, memory, failures, warnings, seconds } = report;
  const { gpu, ...described } = {
    engine: engine.engine,
    device: engine.device,
    description: engine.description,
    version: engine.version,
    threads: engine.threads,
    gpu: engine.gpu,
  };
  return JSON.stringify(
    snakeCase({
      ok: failures.length === 0,
      engine: { ...described, ...(gpu ? { gpu } : {}) },
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
