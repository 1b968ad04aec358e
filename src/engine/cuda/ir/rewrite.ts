/** @file Walks over expressions, and makes new ones in which some parts are replaced. */
import type { Expr } from './expr.js';

/** The operands of an expression. */
export function operandsOf({ kind }: Expr): readonly Expr[] {
  switch (kind.op) {
    case 'constant':
    case 'variable':
      return [];
    case 'load':
      return [kind.index];
    case 'sum':
      return kind.terms.map(([term]) => term);
    case 'int':
    case 'float':
    case 'compare':
    case 'logic':
      return [kind.a, kind.b];
    case 'function':
    case 'not':
    case 'cast':
      return [kind.x];
    case 'select':
      return [kind.condition, kind.a, kind.b];
  }
}

/** Makes an expression of the same kind of other operands, simplified. */
function withOperands({ kind, type, pool }: Expr, operands: readonly Expr[]): Expr {
  const [a, b, c] = operands;
  switch (kind.op) {
    case 'constant':
    case 'variable':
      throw new Error(`a ${kind.op} has no operands`);
    case 'load':
      return pool.load(kind.tensor, a);
    case 'sum':
      return pool.sum(
        kind.terms.map(([, factor], i) => [operands[i], factor]),
        kind.constant,
      );
    case 'int':
      if (kind.fn === 'div') return pool.quotient(a, b);
      return kind.fn === 'mod' ? pool.remainder(a, b) : pool.int(kind.fn, a, b);
    case 'float':
      return pool.float(kind.fn, a, b);
    case 'compare':
      return pool.compare(kind.fn, a, b);
    case 'logic':
      return pool.logic(kind.fn, a, b);
    case 'function':
      return pool.fn(kind.fn, a);
    case 'not':
      return pool.not(a);
    case 'cast':
      return pool.cast(a, type);
    case 'select':
      return kind.extent === undefined ? pool.select(a, b, c) : pool.guarded(a, b, kind.extent);
  }
}

/**
 * Replaces parts of expressions: wherever `replacement` returns an expression, that takes the place of the part and is not looked
 * into again. Parts are offered with their operands replaced, and as they were.
 */
export class Rewriter {
  readonly #done = new Map<Expr, Expr>();

  constructor(private readonly replacement: (part: Expr, original: Expr) => Expr | undefined) {}

  rewrite(expr: Expr): Expr {
    const found = this.#done.get(expr);
    if (found) return found;
    const before = operandsOf(expr);
    const operands = before.map((operand) => this.rewrite(operand));
    const isSame = operands.every((operand, i) => operand === before[i]);
    const rebuilt = isSame ? expr : withOperands(expr, operands);
    const result = this.replacement(rebuilt, expr) ?? rebuilt;
    this.#done.set(expr, result);
    return result;
  }
}

/** Replaces variables, all at once: a replacement may have the variables themselves. */
export function substitute(expr: Expr, replacements: ReadonlyMap<Expr, Expr>): Expr {
  // Not the rebuilt part, which may have been simplified to a variable.
  return new Rewriter((_, original) => replacements.get(original)).rewrite(expr);
}

/** All parts of expressions, each once, operands first. */
export function partsOf(exprs: Iterable<Expr>): Set<Expr> {
  const parts = new Set<Expr>();
  const visit = (expr: Expr): void => {
    if (parts.has(expr)) return;
    for (const operand of operandsOf(expr)) visit(operand);
    parts.add(expr);
  };
  for (const expr of exprs) visit(expr);
  return parts;
}

/** A load and where it reads. */
export type Load = Expr & { readonly kind: Extract<Expr['kind'], { op: 'load' }> };

export const isLoad = (expr: Expr): expr is Load => expr.kind.op === 'load';

/** The loads in expressions, each once. */
export function loadsOf(exprs: Iterable<Expr>): Load[] {
  return [...partsOf(exprs)].filter(isLoad);
}
