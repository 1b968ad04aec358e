/** @file Groups: the tensors that one kernel computes in one pass over its elements. */
import type { Call } from '../ir/call.js';
import type { Expr } from '../ir/expr.js';
import { isLoad, loadsOf, partsOf, Rewriter, substitute } from '../ir/rewrite.js';
import type { RowReduction, Tensor } from '../ir/tensor.js';

/** Tensors that one kernel reads or writes at most. */
const MAX_TENSORS = 40;
/** Parts of all expressions of one kernel. */
const MAX_PARTS = 500;

/** How a kernel goes over its elements. */
export type Loop =
  /** Element i of each tensor. */
  | { readonly kind: 'elements'; readonly i: Expr; readonly size: number }
  /** Rows r one by one, elements c of each. */
  | {
      readonly kind: 'rows';
      readonly r: Expr;
      readonly c: Expr;
      readonly rows: number;
      readonly width: number;
      readonly reductions: readonly RowReduction[];
    }
  /** For element o of the only result, the terms k of [o·CHUNK, (o + 1)·CHUNK) that are below `count`. */
  | { readonly kind: 'chunks'; readonly k: Expr; readonly count: number }
  /** For element o of each result, k in [0, count). */
  | {
      readonly kind: 'reduce';
      readonly o: Expr;
      readonly k: Expr;
      readonly size: number;
      readonly count: number;
    };

/** A reduction of a loop over k. */
export interface SerialReduction {
  readonly operator: 'sum' | 'max' | 'argMax';
  readonly body: Expr;
  readonly result: Expr;
}

/** A tensor of a group. */
export interface Member {
  readonly tensor: Tensor;
  /** Its element, as an expression of the loop's variables and the results of reductions. */
  readonly value: Expr;
  /** Whether it has one element for each row only. */
  readonly isPerRow: boolean;
}

/** A call in its place among the groups. */
export interface CallItem {
  readonly kind: 'call';
  readonly order: number;
  readonly call: Call;
}

export class Group {
  readonly kind = 'group';
  readonly members: Member[] = [];
  /** Reductions of a loop over k. */
  readonly reductions: SerialReduction[] = [];

  constructor(
    /** Place among the groups and calls, which run in this order. */
    readonly order: number,
    public loop: Loop,
  ) {}

  /** All expressions that the kernel computes. */
  get exprs(): Expr[] {
    const rowReductions = this.loop.kind === 'rows' ? this.loop.reductions : [];
    return [
      ...rowReductions.map(({ body }) => body),
      ...this.reductions.map(({ body }) => body),
      ...this.members.map(({ value }) => value),
    ];
  }

  /** The number of the element of a tensor that the loop is at. Null if the tensor has another number of elements. */
  elementOf(size: number): { readonly index: Expr; readonly isPerRow: boolean } | null {
    const { loop } = this;
    if (loop.kind === 'elements') return size === loop.size ? { index: loop.i, isPerRow: false } : null;
    if (loop.kind === 'reduce') return size === loop.size ? { index: loop.o, isPerRow: false } : null;
    if (loop.kind === 'chunks') return null;
    if (size === loop.rows * loop.width) return { index: rowElement(loop), isPerRow: false };
    return size === loop.rows ? { index: loop.r, isPerRow: true } : null;
  }

  /** Replaces loads of members at the loop's element by their values. Null if another element of a member is needed. */
  withValues(expr: Expr): Expr | null {
    const values = new Map<Tensor, Member>(this.members.map((member) => [member.tensor, member]));
    const rewritten = new Rewriter((part) => {
      const member = isLoad(part) ? values.get(part.kind.tensor) : undefined;
      if (!member || !isLoad(part)) return undefined;
      return part.kind.index === this.elementOf(member.tensor.size)?.index ? member.value : undefined;
    }).rewrite(expr);
    return loadsOf([rewritten]).some(({ kind }) => values.has(kind.tensor)) ? null : rewritten;
  }

  /** Whether the group reads an element that `exprs` read, too. */
  sharesLoad(exprs: readonly Expr[]): boolean {
    const own = new Set(loadsOf(this.exprs));
    return loadsOf(exprs).some((load) => own.has(load));
  }

  /** Whether a kernel with these expressions in addition is not too large. */
  hasRoomFor(exprs: readonly Expr[]): boolean {
    const all = [...this.exprs, ...exprs];
    const tensors = new Set(loadsOf(all).map(({ kind }) => kind.tensor));
    return tensors.size + this.members.length + exprs.length <= MAX_TENSORS && partsOf(all).size <= MAX_PARTS;
  }

  /** The members of a loop over elements in groups that have no element that both read; another loop as it is. */
  independentParts(): Group[] {
    const { loop } = this;
    if (loop.kind !== 'elements') return [this];
    let parts: { readonly loads: Set<Expr>; readonly members: Member[] }[] = [];
    for (const member of this.members) {
      const loads = new Set<Expr>(loadsOf([member.value]).filter((load) => partsOf([load]).has(loop.i)));
      const related = parts.filter((part) => [...loads].some((load) => part.loads.has(load)));
      parts = parts.filter((part) => !related.includes(part));
      parts.push({
        loads: new Set([...related.flatMap((part) => [...part.loads]), ...loads]),
        members: [...related.flatMap(({ members }) => members), member],
      });
    }
    return parts.map(({ members }) => {
      const group = new Group(this.order, loop);
      group.members.push(...members);
      return group;
    });
  }

  /** Turns a loop over elements into one over rows. */
  becomeRows(loop: Extract<Loop, { kind: 'rows' }>): void {
    if (this.loop.kind !== 'elements') throw new Error('only a loop over elements becomes one over rows');
    const replacements = new Map([[this.loop.i, rowElement(loop)]]);
    this.loop = loop;
    for (const [m, { tensor, value }] of this.members.entries())
      this.members[m] = { tensor, value: substitute(value, replacements), isPerRow: false };
  }
}

export function rowElement({ r, c, width }: Extract<Loop, { kind: 'rows' }>): Expr {
  return r.mul(width).add(c);
}
