/** @file `stmixer inspect param-groups` and `inspect lr-schedule`: what the solver would do, without weights. */

import { pythonFloat } from '../formats/python/text.js';
import type { LrSchedule } from '../solver/lr_schedule.js';
import { makeLrScheduler } from '../solver/make_lr_scheduler.js';
import { type DetectorParameters, layerScalesOf, makeOptimizer } from '../solver/make_optimizer.js';
import { hasLayers, type SolverConfig } from '../solver/solver_config.js';
import { alignColumns } from '../util/table.js';

/**
 * The parameter groups in optimizer order, as a table or as JSON
 * `{ layer_scales, skip_weight_decay, groups: [{ name, weight_decay, lr_scale, params }] }`.
 */
export function inspectParamGroups(cfg: SolverConfig, model: DetectorParameters, json: boolean): string {
  const optimizer = makeOptimizer(cfg, model);
  const { paramGroups, method } = optimizer;
  const layerScales = layerScalesOf(cfg);
  const skipped = hasLayers(cfg) ? [...cfg.ViT.NO_WEIGHT_DECAY] : [];
  if (json) {
    return JSON.stringify({
      layer_scales: layerScales,
      skip_weight_decay: skipped,
      groups: paramGroups.map(({ name, weight_decay, lr_scale, params }) => ({
        name,
        weight_decay,
        lr_scale: lr_scale ?? null,
        params: params.map((param) => param.name),
      })),
    });
  }
  const sizes = paramGroups.map(({ params }) =>
    params.reduce((sum, { parameter }) => sum + parameter.size, 0),
  );
  const rows = paramGroups.map((group, i) => [
    group.name,
    String(group.params.length),
    count(sizes[i]),
    short(group.weight_decay),
    group.lr_scale === undefined ? '–' : short(group.lr_scale),
    short(optimizer.effectiveLr(group)),
    group.params[0]?.name ?? '–',
  ]);
  const tensors = paramGroups.reduce((sum, { params }) => sum + params.length, 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return [
    `${method}: ${count(total)} parameters in ${tensors} tensors and ${rows.length} groups`,
    `Layer scales: ${layerScales ? layerScales.map(short).join(', ') : 'none'}`,
    `Without weight decay by name: ${skipped.join(', ') || 'none'}`,
    '',
    ...table(
      ['group', 'tensors', 'parameters', 'weight decay', 'lr_scale', 'rate at BASE_LR', 'first parameter'],
      rows,
    ),
    '',
    'With --json: the names of all parameters.',
  ].join('\n');
}

/**
 * The rates of the groups after so many iterations (values of `last_epoch`), as a table or as JSON `{ iters, lr }`.
 * JSON has the rates that the groups hold, without `lr_scale`. Null asks for the iterations where the schedule bends.
 */
export function inspectLrSchedule(
  cfg: SolverConfig,
  model: DetectorParameters,
  iters: readonly number[] | null,
  json: boolean,
): string {
  const optimizer = makeOptimizer(cfg, model);
  const schedule = makeLrScheduler(cfg, optimizer);
  const shown = iters ?? landmarks(cfg, schedule);
  const lr = shown.map((iteration) => schedule.lrAt(iteration));
  if (json) return JSON.stringify({ iters: shown, lr });
  // Every group starts from BASE_LR, so the rates of a row differ by lr_scale only.
  const factors = optimizer.paramGroups.map((group) => optimizer.effectiveLr({ ...group, lr: 1 }));
  const [lowest, highest] = [Math.min(...factors), Math.max(...factors)];
  const scaled = lowest !== highest;
  const rows = shown.map((iteration, i) => {
    const [rate] = lr[i];
    const row = [String(iteration), (iteration / cfg.SOLVER.ITER_PER_EPOCH).toFixed(2), short(rate)];
    return scaled ? [...row, short(rate * lowest), short(rate * highest)] : row;
  });
  const titles = [
    'iterations done',
    'epochs',
    'rate',
    ...(scaled ? ['× smallest lr_scale', '× largest'] : []),
  ];
  return [
    `Schedule: ${cfg.SOLVER.SCHEDULER}, the rate of the iteration that comes next`,
    '',
    ...table(titles, rows),
  ].join('\n');
}

/** Start and end of training, every epoch, and both sides of each bend. */
function landmarks({ SOLVER }: SolverConfig, schedule: LrSchedule): number[] {
  const { ITER_PER_EPOCH, MAX_EPOCH } = SOLVER;
  const end = MAX_EPOCH * ITER_PER_EPOCH;
  const points = new Set([0, 1, end - 1]);
  for (let epoch = 1; epoch < MAX_EPOCH; epoch++) points.add(epoch * ITER_PER_EPOCH);
  const { warmup_iters, milestones } = schedule.settings;
  for (const bend of [warmup_iters, ...(Array.isArray(milestones) ? milestones : [])] as number[]) {
    const first = Math.ceil(bend);
    points.add(first - 1).add(first);
  }
  return [...points].filter((point) => point >= 0 && point < end).sort((a, b) => a - b);
}

function count(value: number): string {
  return value.toLocaleString('en');
}

/** Six digits, as Python prints them. */
function short(value: number): string {
  return pythonFloat(Number(value.toPrecision(6)));
}

/** Titles and rows in columns; columns of numbers are aligned to the right. */
function table(titles: readonly string[], rows: readonly string[][]): string[] {
  const isNumber = titles.map((_, i) => rows.every((row) => /^[\d.,e+-]+$|^–$/.test(row[i])));
  return alignColumns([titles, ...rows], (column) => isNumber[column]);
}
