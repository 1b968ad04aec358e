/** @file Decides which tensors are never stored, because whoever reads them computes them. */
import type { Call } from '../ir/call.js';
import type { Expr } from '../ir/expr.js';
import { loadsOf, partsOf, Rewriter, substitute } from '../ir/rewrite.js';
import type { Tensor } from '../ir/tensor.js';

/** Parts of an expression that one kernel may compute for a tensor that it does not store. */
const MAX_PARTS = 200;
/** Parts and loads of an expression that costs less than storing its result and loading it twice. */
const MAX_CHEAP_PARTS = 24;
const MAX_CHEAP_LOADS = 1;
/** How often an element may be computed instead of loaded, unless that is cheap. */
const MAX_REPEATS = 1.5;
/** Places in one expression that may compute the same tensor, unless that is cheap. */
const MAX_PLACES = 4;

/** Who reads a tensor: another one, or a call. */
type Reader = Tensor | Call;

/** The expressions that compute a tensor. */
function bodiesOf({ definition }: Tensor): readonly Expr[] {
  switch (definition.kind) {
    case 'map':
      return [definition.body];
    case 'reduce':
      return [definition.reduction.body];
    case 'row': {
      const { reductions, results } = definition.row;
      return [...reductions, ...results].map(({ body }) => body);
    }
    default:
      return [];
  }
}

/** The tensors that a tensor is computed from. */
function sourcesOf(tensor: Tensor): Tensor[] {
  const { definition } = tensor;
  if (definition.kind === 'call')
    return definition.call.steps.flatMap(({ operands }) => operands.map((slice) => slice.tensor));
  return loadsOf(bodiesOf(tensor)).map(({ kind }) => kind.tensor);
}

/** How often the expressions of a tensor are evaluated. */
function evaluationsOf({ definition, size }: Tensor): number {
  if (definition.kind === 'reduce') return size * definition.reduction.count;
  return definition.kind === 'row' ? definition.row.rows * definition.row.width : size;
}

/** Whether computing an expression again costs less than storing its result. */
function isCheap(body: Expr): boolean {
  const parts = [...partsOf([body])];
  const isHeavy = parts.some(
    ({ kind }) => kind.op === 'function' || (kind.op === 'float' && kind.fn === 'pow'),
  );
  return !isHeavy && parts.length <= MAX_CHEAP_PARTS && loadsOf([body]).length <= MAX_CHEAP_LOADS;
}

/** The tensors that some results need, and which of them are computed where they are read. */
export class Inlining {
  /** The needed tensors, each after those that it is computed from. */
  readonly needed: readonly Tensor[];
  readonly #readers = new Map<Tensor, Set<Reader>>();
  readonly #inlined = new Map<Tensor, { readonly i: Expr; readonly body: Expr }>();
  readonly #stored: ReadonlySet<Tensor>;

  constructor(outputs: readonly Tensor[]) {
    this.needed = this.#collect(outputs);
    const operands = this.needed.flatMap((tensor) =>
      tensor.definition.kind === 'call' ? sourcesOf(tensor) : [],
    );
    this.#stored = new Set([...outputs, ...operands]);
    for (const tensor of this.needed) {
      const { definition } = tensor;
      if (definition.kind !== 'map') continue;
      const body = this.expand(definition.body);
      if (this.#isInlined(tensor, body)) this.#inlined.set(tensor, { i: definition.i, body });
    }
  }

  isInlined(tensor: Tensor): boolean {
    return this.#inlined.has(tensor);
  }

  /** Whether another tensor or a call is computed from this one. */
  isRead(tensor: Tensor): boolean {
    return this.#readers.has(tensor);
  }

  /** Replaces loads of tensors that are not stored by what computes them. */
  expand(expr: Expr): Expr {
    return new Rewriter(({ kind }) => {
      const inlined = kind.op === 'load' ? this.#inlined.get(kind.tensor) : undefined;
      return kind.op === 'load' && inlined
        ? substitute(inlined.body, new Map([[inlined.i, kind.index]]))
        : undefined;
    }).rewrite(expr);
  }

  #collect(outputs: readonly Tensor[]): Tensor[] {
    const needed = new Set(outputs);
    // A set is walked in the order of insertion, elements added meanwhile included.
    for (const tensor of needed) {
      const reader = tensor.definition.kind === 'call' ? tensor.definition.call : tensor;
      for (const source of sourcesOf(tensor)) {
        needed.add(source);
        const readers = this.#readers.get(source) ?? new Set();
        this.#readers.set(source, readers.add(reader));
      }
    }
    return [...needed].sort((a, b) => a.id - b.id);
  }

  #isInlined(tensor: Tensor, body: Expr): boolean {
    if (this.#stored.has(tensor)) return false;
    if (isCheap(body)) return true;
    const readers = [...(this.#readers.get(tensor) ?? [])];
    const [reader] = readers;
    if (readers.length !== 1 || !('definition' in reader)) return false;
    const places = loadsOf(bodiesOf(reader)).filter(({ kind }) => kind.tensor === tensor).length;
    return (
      partsOf([body]).size <= MAX_PARTS &&
      places <= MAX_PLACES &&
      evaluationsOf(reader) <= MAX_REPEATS * tensor.size
    );
  }
}
