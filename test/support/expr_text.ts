/** @file Expressions of the cuda engine as text, for tests and for people. */
import type { Expr } from '../../src/engine/cuda/ir/expr.js';
import { INFIX } from '../../src/engine/cuda/render/writer.js';

/** The expression as in C; `t3[i]` is element i of tensor 3. Terms of a sum are in the order of their making. */
export function exprText(expr: Expr): string {
  const { kind } = expr;
  switch (kind.op) {
    case 'constant':
      return String(kind.value);
    case 'variable':
      return kind.name;
    case 'load':
      return `t${kind.tensor.id}[${exprText(kind.index)}]`;
    case 'sum': {
      const terms = kind.terms.map(([x, factor]) =>
        factor === 1 ? exprText(x) : `${factor}*${exprText(x)}`,
      );
      return `(${[...terms, ...(kind.constant === 0 ? [] : [kind.constant])].join(' + ')})`;
    }
    case 'int':
    case 'float':
    case 'compare':
    case 'logic': {
      const [a, b] = [exprText(kind.a), exprText(kind.b)];
      return kind.fn in INFIX ? `(${a} ${INFIX[kind.fn]} ${b})` : `${kind.fn}(${a}, ${b})`;
    }
    case 'function':
      return `${kind.fn}(${exprText(kind.x)})`;
    case 'not':
      return `!${exprText(kind.x)}`;
    case 'select':
      return `(${exprText(kind.condition)} ? ${exprText(kind.a)} : ${exprText(kind.b)})`;
    case 'cast':
      return `${expr.type}(${exprText(kind.x)})`;
  }
}
