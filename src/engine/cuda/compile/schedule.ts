/**
 * @file Schedules the tensors of a program: which are stored, and which kernel computes which.
 *
 * Tensors join the kernel of an earlier one if they have the same elements, so that what both read is read once and what one
 * passes to the other need not be stored.
 */
import type { Call } from '../ir/call.js';
import type { Expr } from '../ir/expr.js';
import type { ExprPool } from '../ir/expr_pool.js';
import { loadsOf, partsOf, substitute } from '../ir/rewrite.js';
import type { Reduction, RowProgram, Tensor } from '../ir/tensor.js';
import { type CallItem, Group, type Loop, type SerialReduction } from './groups.js';
import { Inlining } from './inline.js';

type Item = Group | CallItem;

/** Groups that a tensor may join, counted from the last. */
const MAX_LOOK_BACK = 24;
/** Elements up to which a launch costs more than the work, so that tensors join even if they have nothing in common. */
const MAX_SMALL = 2 ** 18;
/** Elements from which on a whole warp adds up a row. */
const MIN_ROW = 32;

export interface Schedule {
  /** Kernels and calls in the order in which they run. */
  readonly items: readonly Item[];
  /** The tensors that are in memory. */
  readonly stored: ReadonlySet<Tensor>;
}

/** Schedules the computation of `outputs`, none of which may be an input. */
export function schedule(outputs: readonly Tensor[], pool: ExprPool): Schedule {
  return new Scheduler(outputs, pool).finish();
}

class Scheduler {
  readonly #items: Item[] = [];
  readonly #itemOf = new Map<Tensor, Item>();
  readonly #inlining: Inlining;
  readonly #calls = new Map<Call, CallItem>();
  readonly #rows = new Set<RowProgram>();
  /** Small results that nothing else needs and no kernel has taken along, so that one kernel at the end can compute many. */
  #deferred: Tensor[] | null = [];

  constructor(
    private readonly outputs: readonly Tensor[],
    private readonly pool: ExprPool,
  ) {
    this.#inlining = new Inlining(outputs);
    for (const tensor of this.#inlining.needed) this.#place(tensor);
    const deferred = this.#deferred as Tensor[];
    this.#deferred = null;
    for (const tensor of deferred) this.#place(tensor);
  }

  /** Leaves out what nothing needs. */
  finish(): Schedule {
    const stored = new Set(this.outputs);
    const items: Item[] = [];
    for (const item of this.#items.toReversed()) {
      if (item.kind === 'call') {
        for (const result of item.call.results) stored.add(result);
        for (const { operands } of item.call.steps) for (const { tensor } of operands) stored.add(tensor);
      } else {
        const members = item.members.filter(({ tensor }) => stored.has(tensor));
        item.members.splice(0, item.members.length, ...members);
        if (members.length === 0) continue;
        dropUnusedReductions(item);
        for (const { kind } of loadsOf(item.exprs)) stored.add(kind.tensor);
      }
      items.unshift(item);
    }
    return { items, stored };
  }

  #place(tensor: Tensor): void {
    const { definition } = tensor;
    if (definition.kind === 'input' || this.#inlining.isInlined(tensor)) return;
    if (definition.kind === 'map')
      this.#placeMap(tensor, this.#inlining.expand(definition.body), definition.i);
    else if (definition.kind === 'reduce') this.#placeReduction(tensor, definition.reduction);
    else if (definition.kind === 'call') this.#placeCall(tensor, definition.call);
    else if (!this.#rows.has(definition.row)) this.#placeRowProgram(definition.row);
  }

  #placeRowProgram(row: RowProgram): void {
    const results = this.#inlining.needed.flatMap((tensor) => {
      const { definition } = tensor;
      return definition.kind === 'row' && definition.row === row
        ? [{ tensor, ...row.results[definition.result] }]
        : [];
    });
    const evaluations = row.rows * row.width;
    if (results.every(({ tensor, isPerRow }) => isPerRow && this.#defers(tensor, evaluations))) return;
    this.#rows.add(row);
    this.#placeRows(results, row);
  }

  #placeCall(tensor: Tensor, call: Call): void {
    let item = this.#calls.get(call);
    if (!item) {
      item = { kind: 'call', order: this.#items.length, call };
      this.#calls.set(call, item);
      this.#items.push(item);
    }
    this.#itemOf.set(tensor, item);
  }

  #placeMap(tensor: Tensor, body: Expr, i: Expr): void {
    for (const group of this.#candidates()) {
      const element = group.elementOf(tensor.size);
      if (!element) continue;
      const here = substitute(body, new Map([[i, element.index]]));
      const value = group.withValues(here);
      if (value === null || !this.#isReady([value], group) || !group.hasRoomFor([value])) continue;
      if (value === here && tensor.size > MAX_SMALL && !group.sharesLoad([value])) continue;
      this.#add(group, { tensor, value, isPerRow: element.isPerRow });
      return;
    }
    if (this.#defers(tensor, tensor.size)) return;
    const group = this.#newGroup({ kind: 'elements', i, size: tensor.size });
    this.#add(group, { tensor, value: body, isPerRow: false });
  }

  #placeReduction(tensor: Tensor, reduction: Reduction): void {
    const body = this.#inlining.expand(reduction.body);
    const { operator, count, o, k } = reduction;
    if (reduction.isInChunks) {
      const group = this.#newGroup({ kind: 'chunks', k, count });
      const result = this.pool.variable(`t${tensor.id}`, body.type);
      group.reductions.push({ operator, body, result });
      this.#add(group, { tensor, value: result, isPerRow: false });
      return;
    }
    if (operator !== 'argMax' && isForWarps(body, { o, k, size: tensor.size, count })) {
      this.#placeRows(
        [this.#asRows(tensor, operator, body)],
        this.#rowProgram(tensor, { ...reduction, operator, body }),
      );
      return;
    }
    const result = this.pool.variable(`t${tensor.id}`, body.type === 'bool' ? 'bool' : body.type);
    const own: SerialReduction = {
      operator,
      body,
      result: operator === 'argMax' ? this.pool.variable(`t${tensor.id}`, 'int') : result,
    };
    for (const group of this.#candidates()) {
      const { loop } = group;
      const isSameLoop = loop.kind === 'reduce' && loop.size === tensor.size && loop.count === count;
      if (!isSameLoop || (tensor.size * count > MAX_SMALL && !group.sharesLoad([body]))) continue;
      if (!this.#isReady([body], group) || !group.hasRoomFor([body])) continue;
      group.reductions.push(own);
      this.#add(group, { tensor, value: own.result, isPerRow: false });
      return;
    }
    if (this.#defers(tensor, tensor.size * count)) return;
    const group = this.#newGroup({ kind: 'reduce', o, k, size: tensor.size, count });
    group.reductions.push(own);
    this.#add(group, { tensor, value: own.result, isPerRow: false });
  }

  /** Notes a tensor to be placed last, if it is small and nothing else needs it. */
  #defers(tensor: Tensor, evaluations: number): boolean {
    if (evaluations > MAX_SMALL || this.#inlining.isRead(tensor)) return false;
    this.#deferred?.push(tensor);
    return this.#deferred !== null;
  }

  #asRows(tensor: Tensor, operator: 'sum' | 'max', body: Expr) {
    return { tensor, isPerRow: true, body: this.pool.variable(`${operator}${tensor.id}`, body.type) };
  }

  /** A row program for a reduction of elements that lie next to each other. */
  #rowProgram(
    tensor: Tensor,
    { operator, count, o, k, body }: Reduction & { readonly operator: 'sum' | 'max' },
  ): RowProgram {
    const r = this.pool.index('r', tensor.size);
    const c = this.pool.index('c', count);
    const renamed = substitute(
      body,
      new Map([
        [o, r],
        [k, c],
      ]),
    );
    const result = this.pool.variable(`${operator}${tensor.id}`, body.type);
    return {
      rows: tensor.size,
      width: count,
      r,
      c,
      reductions: [{ operator, body: renamed, result }],
      results: [],
    };
  }

  #placeRows(
    results: readonly { readonly tensor: Tensor; readonly isPerRow: boolean; readonly body: Expr }[],
    { rows, width, r, c, reductions }: RowProgram,
  ): void {
    const expanded = reductions.map((reduction) => ({
      ...reduction,
      body: this.#inlining.expand(reduction.body),
    }));
    const bodies = results.map(({ body }) => this.#inlining.expand(body));
    const loop = { kind: 'rows', rows, width, r, c, reductions: expanded } as const;
    const group = this.#absorber(loop, bodies) ?? this.#newGroup(loop);
    for (const [n, { tensor, isPerRow }] of results.entries())
      this.#add(group, { tensor, value: group.withValues(bodies[n]) as Expr, isPerRow });
  }

  /** Finds a group of elements that the rows read, and turns it into a group of rows. */
  #absorber(loop: Extract<Loop, { kind: 'rows' }>, bodies: readonly Expr[]): Group | null {
    const exprs = [...loop.reductions.map(({ body }) => body), ...bodies];
    for (const group of this.#candidates()) {
      if (group.loop.kind !== 'elements' || group.loop.size !== loop.rows * loop.width || loop.width === 1)
        continue;
      const trial = new Group(group.order, group.loop);
      trial.members.push(...group.members);
      trial.becomeRows({ ...loop, reductions: [] });
      const values = exprs.map((expr) => trial.withValues(expr));
      if (!values.every((value) => value !== null)) continue;
      const isJoined = values.some((value, n) => value !== exprs[n]) || trial.sharesLoad(exprs);
      if (!isJoined || !this.#isReady(values, group) || !trial.hasRoomFor(values)) continue;
      const reductions = loop.reductions.map((reduction, n) => ({ ...reduction, body: values[n] }));
      group.becomeRows({ ...loop, reductions });
      return group;
    }
    return null;
  }

  /** The groups that a tensor may join, from the last one. */
  *#candidates(): Generator<Group> {
    const first = Math.max(0, this.#items.length - MAX_LOOK_BACK);
    for (let n = this.#items.length - 1; n >= first; n--) {
      const item = this.#items[n];
      if (item.kind === 'group') yield item;
    }
  }

  /** Whether all tensors that the expressions read have been computed when a group runs. */
  #isReady(exprs: readonly Expr[], group: Group): boolean {
    return loadsOf(exprs).every(({ kind }) => (this.#itemOf.get(kind.tensor)?.order ?? -1) < group.order);
  }

  #newGroup(loop: Loop): Group {
    const group = new Group(this.#items.length, loop);
    this.#items.push(group);
    return group;
  }

  #add(group: Group, member: Group['members'][number]): void {
    group.members.push(member);
    this.#itemOf.set(member.tensor, group);
  }
}

/** Leaves out reductions that no member needs. */
function dropUnusedReductions(group: Group): void {
  const values = group.members.map(({ value }) => value);
  const { loop } = group;
  if (loop.kind === 'reduce') {
    const used = partsOf(values);
    const kept = group.reductions.filter(({ result }) => used.has(result));
    group.reductions.splice(0, group.reductions.length, ...kept);
  }
  if (loop.kind !== 'rows') return;
  const used = [...values];
  const kept = [];
  for (const reduction of loop.reductions.toReversed()) {
    if (!partsOf(used).has(reduction.result)) continue;
    kept.unshift(reduction);
    used.push(reduction.body);
  }
  group.loop = { ...loop, reductions: kept };
}

/** The distance of the elements for neighbouring values of a variable; 0 if that is unknown. */
function strideOf(index: Expr, variable: Expr): number {
  const isVariable = (term: Expr) =>
    term === variable || (term.kind.op === 'int' && term.kind.fn === 'mod' && term.kind.a === variable);
  if (isVariable(index)) return 1;
  if (index.kind.op !== 'sum') return 0;
  return index.kind.terms.find(([term]) => isVariable(term))?.[1] ?? 0;
}

/** Whether warps should add up rows together: neighbouring elements of a row are neighbours in memory, or results are few. */
function isForWarps(
  body: Expr,
  {
    o,
    k,
    size,
    count,
  }: { readonly o: Expr; readonly k: Expr; readonly size: number; readonly count: number },
): boolean {
  if (count < MIN_ROW) return false;
  const indices = loadsOf([body]).map(({ kind }) => kind.index);
  const along = indices.filter((index) => Math.abs(strideOf(index, k)) === 1).length;
  const across = indices.filter((index) => Math.abs(strideOf(index, o)) === 1 && size > 1).length;
  return along > across;
}
