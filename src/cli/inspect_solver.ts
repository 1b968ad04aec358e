/** @file `stmixer inspect param-groups` and `stmixer inspect lr-schedule`: groups and learning rates, without weights. */
import { pythonFloat } from '../formats/python/text.js';
import type { LrSchedule } from '../solver/lr_schedule.js';
import { makeLrScheduler } from '../solver/make_lr_scheduler.js';
import { type DetectorParameters, layerScalesOf, makeOptimizer } from '../solver/make_optimizer.js';
import { hasLayers, type SolverConfig } from '../solver/solver_config.js';
import { alignColumns } from '../util/table.js';
import { count } from '../util/text.js';

/**
 * Lists the parameter groups in optimizer order, as a table or as JSON
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
      ['group', 'tensors', 'parameters', 'weight decay', 'lr_scale', 'lr at BASE_LR', 'first parameter'],
      rows,
    ),
    '',
    'With --json: the names of all parameters.',
  ].join('\n');
}

/**
 * Lists the learning rates after each number of iterations in `iters` (values of `last_epoch`), as a table or as JSON
 * `{ iters, lr }`. The JSON has the learning rates of all groups, without `lr_scale`. If `iters` is null, the iterations
 * at which the schedule changes are shown.
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
  // Every group starts from BASE_LR, so the learning rates of a row differ by lr_scale only.
  const factors = optimizer.paramGroups.map((group) => optimizer.effectiveLr({ ...group, lr: 1 }));
  const [min, max] = [Math.min(...factors), Math.max(...factors)];
  const scaled = min !== max;
  const rows = shown.map((iteration, i) => {
    const [base] = lr[i];
    const row = [String(iteration), (iteration / cfg.SOLVER.ITER_PER_EPOCH).toFixed(2), short(base)];
    return scaled ? [...row, short(base * min), short(base * max)] : row;
  });
  const titles = ['iterations done', 'epochs', 'lr', ...(scaled ? ['× smallest lr_scale', '× largest'] : [])];
  return [
    `Schedule: ${cfg.SOLVER.SCHEDULER}, learning rate of the next iteration`,
    '',
    ...table(titles, rows),
  ].join('\n');
}

/** Iterations at the start and the end of training, at every epoch, and on both sides of each change of the schedule. */
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

/** Formats a number with six digits, as Python does. */
function short(value: number): string {
  return pythonFloat(Number(value.toPrecision(6)));
}

/** Aligns titles and rows in columns, numbers to the right. */
function table(titles: readonly string[], rows: readonly string[][]): string[] {
  const isNumber = titles.map((_, i) => rows.every((row) => /^[\d.,e+-]+$|^–$/.test(row[i])));
  return alignColumns([titles, ...rows], (column) => isNumber[column]);
}
