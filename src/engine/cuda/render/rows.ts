/**
 * @file Kernels that compute rows, each by a warp or a block of threads, or by a single thread if it is short.
 *
 * A row is passed over once for each reduction, and once more for the results. Elements that more than one pass reads are kept in
 * registers.
 */
import type { Group, Loop, Member } from '../compile/groups.js';
import { rowElement } from '../compile/groups.js';
import type { Expr } from '../ir/expr.js';
import { type Load, loadsOf, partsOf, substitute } from '../ir/rewrite.js';
import type { RowReduction } from '../ir/tensor.js';
import { BLOCK, type RenderedKernel, VECTOR, writeVectorLoads } from './kernel.js';
import { largerOf, startOf } from './reduce.js';
import { KernelWriter } from './writer.js';

const WARP = 32;
/** Longest row that one thread computes. */
const MAX_THREAD_WIDTH = 16;
/** Longest row that one warp computes. */
const MAX_WARP_WIDTH = 1024;
/** Elements that a thread keeps in registers, over all tensors. */
const MAX_KEPT = 64;

type RowLoop = Extract<Loop, { kind: 'rows' }>;

/** How rows are dealt out to threads. */
interface Deal {
  /** Threads that compute a row together. */
  readonly threads: 1 | 32 | 256;
  /** Neighbouring elements that a thread loads at once. */
  readonly vector: number;
  /** Times that each thread takes `vector` elements of a row. */
  readonly turns: number;
}

function dealOut(width: number): Deal {
  const threads = width <= MAX_THREAD_WIDTH ? 1 : width <= MAX_WARP_WIDTH ? WARP : BLOCK;
  const isVector = width % VECTOR === 0 && (threads === 1 || width / VECTOR >= threads);
  const vector = isVector ? VECTOR : 1;
  return { threads, vector, turns: Math.ceil(width / vector / threads) };
}

export function renderRows(group: Group, loop: RowLoop): RenderedKernel {
  const kernel = new RowKernel(group, loop);
  const { parameters, body } = kernel.write();
  const blocks = Math.ceil(loop.rows / (BLOCK / kernel.deal.threads));
  return { kind: 'rows', parameters, body, blocks };
}

class RowKernel {
  readonly deal: Deal;
  readonly #writer = new KernelWriter();
  readonly #q: Expr;
  /** The number of the array that keeps the elements of a load, by the load of the first lane. */
  readonly #kept = new Map<Load, number>();

  constructor(
    private readonly group: Group,
    private readonly loop: RowLoop,
  ) {
    this.deal = dealOut(loop.width);
    this.#q = loop.c.pool.index('q', Math.ceil(loop.width / this.deal.vector));
    this.#chooseKept();
    this.#writer.count(
      this.#passes()
        .flat()
        .flatMap((expr) => this.#lanesOf(expr)),
    );
  }

  write(): KernelWriter {
    const writer = this.#writer;
    const { threads, vector, turns } = this.deal;
    const { rows, reductions } = this.loop;
    const perBlock = BLOCK / threads;
    if (threads === BLOCK) writer.line('const int r = block;');
    else writer.line(`const int r = block * ${perBlock} + threadIdx.x${threads > 1 ? ` / ${threads}` : ''};`);
    if (rows % perBlock !== 0) writer.line(`if (r >= ${rows}) return;`);
    if (threads === BLOCK) this.#declareParts(reductions);
    // Numbers, so that equal kernels have equal texts.
    for (const [n, { result }] of reductions.entries()) writer.nameEverywhere(result, `s${n}`);
    const passes = () => {
      for (const reduction of reductions) this.#writeReduction(reduction);
      this.#writeResults();
    };
    const declared = [...this.#kept.values()].reduceRight((inside, array) => {
      const name = `kept${array}`;
      return () => writer.declaration(name, `float ${name}[${turns * vector}];`, inside);
    }, passes);
    declared();
    return writer;
  }

  /** Shared memory in which the warps of a block meet. */
  #declareParts(reductions: readonly RowReduction[]): void {
    for (const type of new Set(reductions.map(typeOf)))
      this.#writer.line(`__shared__ ${type} ${type}_parts[${BLOCK / WARP}];`);
  }

  /** The expressions of each pass. */
  #passes(): Expr[][] {
    return [
      ...this.loop.reductions.map(({ body }) => [body]),
      this.group.members.filter(({ isPerRow }) => !isPerRow).map(({ value }) => value),
    ];
  }

  /** Chooses the loads that more than one pass does, as many as fit into registers. */
  #chooseKept(): void {
    const { turns, vector } = this.deal;
    const passes = new Map<Load, number>();
    for (const exprs of this.#passes())
      for (const load of loadsOf(exprs))
        if (this.#dependsOnColumn(load) && load.type === 'float')
          passes.set(load, (passes.get(load) ?? 0) + 1);
    for (const [load, count] of passes) {
      if (count < 2 || (this.#kept.size + 1) * turns * vector > MAX_KEPT) continue;
      this.#kept.set(this.#lanesOf(load)[0] as Load, this.#kept.size);
    }
  }

  #dependsOnColumn(expr: Expr): boolean {
    return partsOf([expr]).has(this.loop.c);
  }

  /** An expression for each of the neighbouring elements that a thread computes at a time. */
  #lanesOf(expr: Expr): Expr[] {
    const { vector } = this.deal;
    return Array.from({ length: vector }, (_, lane) =>
      substitute(expr, new Map([[this.loop.c, this.#q.mul(vector).add(lane)]])),
    );
  }

  #writeReduction(reduction: RowReduction): void {
    const writer = this.#writer;
    const { operator, body, result } = reduction;
    const type = typeOf(reduction);
    const name = writer.text(result);
    writer.line(`${type} ${name} = ${startOf(operator, type)};`);
    this.#writeTurns([body], (lanes) => {
      for (const [term] of lanes) {
        const text = body.type === 'bool' ? `(int)${writer.text(term)}` : writer.text(term);
        writer.line(operator === 'sum' ? `${name} += ${text};` : `${name} = ${largerOf(type, name, text)};`);
      }
    });
    const { threads } = this.deal;
    if (threads === WARP) writer.line(`${name} = warp_${operator}(${name});`);
    if (threads === BLOCK) writer.line(`${name} = block_${operator}(${name}, ${type}_parts);`);
  }

  #writeResults(): void {
    const writer = this.#writer;
    const { r } = this.loop;
    const isElement = ({ isPerRow }: Member) => !isPerRow;
    const elements = this.group.members.filter(isElement);
    const values = elements.map(({ value }) => value);
    if (elements.length > 0)
      this.#writeTurns([rowElement(this.loop), ...values], (lanes) => {
        for (const [m, { tensor }] of elements.entries())
          writer.store(
            tensor,
            lanes[0][0],
            lanes.map((exprs) => exprs[m + 1]),
          );
      });
    const perRow = this.group.members.filter(({ isPerRow }) => isPerRow);
    if (perRow.length === 0) return;
    const write = () => {
      for (const { tensor, value } of perRow) writer.store(tensor, r, [value]);
    };
    const { threads } = this.deal;
    if (threads === 1) write();
    else writer.block(`if (threadIdx.x${threads < BLOCK ? ` % ${threads}` : ''} == 0)`, write);
  }

  /** Writes a loop over the elements of a row that a thread computes. */
  #writeTurns(exprs: readonly Expr[], inside: (lanes: readonly (readonly Expr[])[]) => void): void {
    const writer = this.#writer;
    const { threads, vector, turns } = this.deal;
    const vectors = this.loop.width / vector;
    const byLane = exprs.map((expr) => this.#lanesOf(expr));
    const lanes = Array.from({ length: vector }, (_, lane) => byLane.map((ofExpr) => ofExpr[lane]));
    const first = threads === 1 ? '' : threads === BLOCK ? 'threadIdx.x + ' : `threadIdx.x % ${threads} + `;
    const body = () => {
      this.#loadKept(lanes);
      writeVectorLoads(writer, lanes, (load, lane) => this.#keptName(load, lane, lanes[0]));
      inside(lanes);
    };
    writer.line('#pragma unroll');
    writer.block(`for (int turn = 0; turn < ${turns}; turn++)`, () => {
      const q = `${first}${threads === 1 ? 'turn' : `${threads} * turn`}`;
      writer.declaration('q', `const int q = ${q};`, () => {
        if (vectors % threads === 0) body();
        else writer.block(`if (q < ${vectors})`, body);
      });
    });
  }

  /** Loads elements that are kept and cannot be loaded as vectors. */
  #loadKept(lanes: readonly (readonly Expr[])[]): void {
    const { vector } = this.deal;
    if (vector > 1) return;
    for (const load of loadsOf(lanes[0])) {
      const array = this.#kept.get(load);
      if (array === undefined || this.#writer.isNamed(load)) continue;
      const name = `kept${array}[turn]`;
      this.#writer.line(`${name} = ${this.#writer.text(load)};`);
      this.#writer.nameEverywhere(load, name);
    }
  }

  #keptName(load: Load, lane: number, firstLane: readonly Expr[]): string | null {
    const first = lane === 0 ? load : loadsOf(firstLane).find((other) => isNeighbour(other, load, lane));
    const array = first && this.#kept.get(first);
    return array === undefined ? null : `kept${array}[${this.deal.vector} * turn + ${lane}]`;
  }
}

/** Whether `load` reads the element that is `distance` after the one of `other`. */
function isNeighbour(other: Load, load: Load, distance: number): boolean {
  return other.kind.tensor === load.kind.tensor && other.kind.index.add(distance) === load.kind.index;
}

function typeOf({ body }: RowReduction): 'float' | 'int' {
  return body.type === 'float' ? 'float' : 'int';
}
