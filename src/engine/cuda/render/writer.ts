/** @file Writes the statements of a kernel. Common parts of expressions become constants. */
import type { Expr, FloatFunction } from '../ir/expr.js';
import { isLoad, type Load, operandsOf, partsOf } from '../ir/rewrite.js';
import type { Tensor } from '../ir/tensor.js';
import { literal, STORAGE_TYPE, VECTOR_TYPE } from './literals.js';

/** Longest expression that is not given a name. */
const MAX_LENGTH = 72;

const FUNCTION_TEXT: Readonly<Record<FloatFunction, (x: string) => string>> = {
  abs: (x) => `fabsf(${x})`,
  ceil: (x) => `ceilf(${x})`,
  cos: (x) => `cosf(${x})`,
  erf: (x) => `erff(${x})`,
  exp: (x) => `expf(${x})`,
  // Integers are converted to double, so that the result is rounded once.
  exp64: (x) => `(float)exp((double)${x})`,
  floor: (x) => `floorf(${x})`,
  log: (x) => `logf(${x})`,
  log1p: (x) => `log1pf(${x})`,
  // More exact than rsqrtf.
  rsqrt: (x) => `(1.0f / sqrtf(${x}))`,
  sin: (x) => `sinf(${x})`,
  sqrt: (x) => `sqrtf(${x})`,
  trunc: (x) => `truncf(${x})`,
};

export const INFIX: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  mod: '%',
  lt: '<',
  le: '<=',
  eq: '==',
  ne: '!=',
  and: '&&',
  or: '||',
};

/** A pointer that a kernel takes. */
export interface Parameter {
  readonly tensor: Tensor;
  readonly name: string;
  readonly isResult: boolean;
  /** Whether it may point to the same memory as another one. */
  readonly isAliased?: boolean;
}

export class KernelWriter {
  readonly #lines: string[] = [];
  #indent = 1;
  #names = 0;
  /** Names of values, a map for each open block. */
  readonly #scopes: Map<Expr, string>[] = [new Map()];
  readonly #uses = new Map<Expr, number>();
  readonly #inputs = new Map<Tensor, Parameter>();
  readonly #results = new Map<Tensor, Parameter>();

  /** Counts how often the parts of expressions are used; those used more than once get a name. */
  count(exprs: readonly Expr[]): void {
    for (const expr of exprs) this.#uses.set(expr, (this.#uses.get(expr) ?? 0) + 1);
    for (const part of partsOf(exprs))
      for (const operand of operandsOf(part)) this.#uses.set(operand, (this.#uses.get(operand) ?? 0) + 1);
  }

  get body(): string {
    return this.#lines.join('\n');
  }

  get parameters(): Parameter[] {
    return [...this.#inputs.values(), ...this.#results.values()];
  }

  line(text: string): void {
    this.#lines.push(`${'  '.repeat(this.#indent)}${text}`);
  }

  /** Writes a block; names that are given inside are not known after it. */
  block(head: string, inside: () => void): void {
    this.line(`${head} {`);
    this.#indent++;
    this.#scopes.push(new Map());
    inside();
    this.#scopes.pop();
    this.#indent--;
    this.line('}');
  }

  /** Writes the declaration of a variable before what is written inside, if that uses it. */
  declaration(name: string, text: string, inside: () => void): void {
    const at = this.#lines.length;
    this.line(text);
    inside();
    const isUsed = this.#lines.slice(at + 1).some((line) => new RegExp(`\\b${name}\\b`).test(line));
    if (!isUsed) this.#lines.splice(at, 1);
  }

  /** Makes `text` stand for an expression in this block. */
  name(expr: Expr, text: string): void {
    this.#scopes[this.#scopes.length - 1].set(expr, text);
  }

  /** Makes `text` stand for an expression everywhere. */
  nameEverywhere(expr: Expr, text: string): void {
    this.#scopes[0].set(expr, text);
  }

  isNamed(expr: Expr): boolean {
    return this.#scopes.some((scope) => scope.has(expr));
  }

  /** The name of the pointer to a tensor that the kernel reads. */
  input(tensor: Tensor): string {
    let parameter = this.#inputs.get(tensor);
    if (!parameter) {
      parameter = { tensor, name: `a${this.#inputs.size}`, isResult: false };
      this.#inputs.set(tensor, parameter);
    }
    return parameter.name;
  }

  /** The name of the pointer to a tensor that the kernel writes. */
  result(tensor: Tensor): string {
    let parameter = this.#results.get(tensor);
    if (!parameter) {
      parameter = { tensor, name: `y${this.#results.size}`, isResult: true };
      this.#results.set(tensor, parameter);
    }
    return parameter.name;
  }

  /** The text of an expression, after statements for the parts that it shares with others. */
  text(expr: Expr): string {
    const named = this.#scopes.findLast((scope) => scope.has(expr))?.get(expr);
    if (named !== undefined) return named;
    const { kind, type } = expr;
    if (kind.op === 'constant') return literal(kind.value, type);
    if (kind.op === 'variable') return kind.name;
    const text = this.#compound(expr);
    const isShort = text.length <= MAX_LENGTH;
    if (isShort && (this.#uses.get(expr) ?? 0) <= 1) return text;
    const name = `${isLoad(expr) ? 'x' : 'v'}${this.#names++}`;
    this.line(`const ${type} ${name} = ${withoutParentheses(text)};`);
    this.name(expr, name);
    return name;
  }

  /** Loads four neighbouring elements at once, the first of which has a number that is a multiple of 4. `nameOf` gives the variables that keep them, null for new ones. */
  loadVector(loads: readonly Load[], nameOf: (n: number) => string | null): void {
    const [{ kind }] = loads;
    const { tensor, index } = kind;
    const type = VECTOR_TYPE[tensor.storage];
    const vector = `q${this.#names++}`;
    this.line(
      `const ${type} ${vector} = *(const ${type} *)(${this.input(tensor)} + ${withoutParentheses(this.text(index))});`,
    );
    for (const [n, load] of loads.entries()) {
      const element = fromStorage(`${vector}.${'xyzw'[n]}`, tensor);
      const kept = nameOf(n);
      if (kept === null) {
        const name = `x${this.#names++}`;
        this.line(`const ${load.type} ${name} = ${element};`);
        this.name(load, name);
      } else {
        this.line(`${kept} = ${element};`);
        this.nameEverywhere(load, kept);
      }
    }
  }

  /** Stores an element, or four neighbouring ones at once. */
  store(tensor: Tensor, index: Expr, values: readonly Expr[]): void {
    const pointer = this.result(tensor);
    const texts = values.map((value) => toStorage(withoutParentheses(this.text(value)), value, tensor));
    const place = withoutParentheses(this.text(index));
    if (values.length === 1) {
      this.line(`${pointer}[${place}] = ${texts[0]};`);
      return;
    }
    const type = VECTOR_TYPE[tensor.storage];
    this.line(`*(${type} *)(${pointer} + ${place}) = make_${type}(${texts.join(', ')});`);
  }

  #compound(expr: Expr): string {
    const { kind } = expr;
    switch (kind.op) {
      case 'load':
        return fromStorage(
          `${this.input(kind.tensor)}[${withoutParentheses(this.text(kind.index))}]`,
          kind.tensor,
        );
      case 'sum':
        return this.#sum(kind.terms, kind.constant);
      case 'int':
        return this.#int(kind.fn, kind.a, kind.b);
      case 'float': {
        const [a, b] = [this.text(kind.a), this.text(kind.b)];
        if (kind.fn === 'max' || kind.fn === 'min') return `${kind.fn}_or_nan(${a}, ${b})`;
        return kind.fn === 'pow' ? `powf(${a}, ${b})` : `(${a} ${INFIX[kind.fn]} ${b})`;
      }
      case 'compare':
      case 'logic':
        return `(${this.text(kind.a)} ${INFIX[kind.fn]} ${this.text(kind.b)})`;
      case 'function':
        return FUNCTION_TEXT[kind.fn](withoutParentheses(this.text(kind.x)));
      case 'not':
        return `!${this.text(kind.x)}`;
      case 'select':
        return `(${this.text(kind.condition)} ? ${this.text(kind.a)} : ${this.text(kind.b)})`;
      case 'cast':
        return castText(this.text(kind.x), kind.x, expr);
      default:
        throw new Error(`a ${kind.op} is not compound`);
    }
  }

  #sum(terms: readonly (readonly [Expr, number])[], constant: number): string {
    const parts = terms.map(([term, factor]) => {
      const text = this.text(term);
      return factor === 1 ? text : `${factor} * ${text}`;
    });
    if (constant !== 0 || parts.length === 0) parts.push(literal(constant, 'int'));
    return `(${parts.join(' + ').replaceAll('+ -', '- ')})`;
  }

  #int(fn: string, x: Expr, y: Expr): string {
    const [a, b] = [this.text(x), this.text(y)];
    if (fn === 'floorDiv') return `floor_div(${a}, ${b})`;
    if (fn === 'pow') return `int_pow(${a}, ${b})`;
    if (fn === 'max' || fn === 'min') return `${fn}(${a}, ${b})`;
    // Unsigned division by a constant takes fewer instructions.
    const isUnsigned = (fn === 'div' || fn === 'mod') && x.range.min >= 0 && (y.constant ?? 0) > 0;
    return isUnsigned ? `(int)((unsigned)${a} ${INFIX[fn]} ${b}u)` : `(${a} ${INFIX[fn]} ${b})`;
  }
}

function castText(text: string, { type: from }: Expr, { type: to }: Expr): string {
  if (to === 'bool') return from === 'float' ? `(${text} != 0.0f)` : `(${text} != 0)`;
  if (from === 'bool') return to === 'float' ? `(${text} ? 1.0f : 0.0f)` : `(${text} ? 1 : 0)`;
  return to === 'float' ? `(float)${text}` : `to_int(${text})`;
}

function fromStorage(text: string, { storage }: Tensor): string {
  if (storage === 'bfloat16') return `from_bfloat16(${text})`;
  return storage === 'bool' ? `(${text} != 0)` : text;
}

function toStorage(text: string, { type }: Expr, { storage }: Tensor): string {
  if (storage === 'bfloat16') return `to_bfloat16(${text})`;
  return type === 'bool' ? `(${text}) ? 1 : 0` : text;
}

/** Leaves out parentheses around the whole text. */
function withoutParentheses(text: string): string {
  if (!text.startsWith('(')) return text;
  let depth = 0;
  for (let n = 0; n < text.length; n++) {
    if (text[n] === '(') depth++;
    else if (text[n] === ')') depth--;
    if (depth === 0) return n === text.length - 1 ? text.slice(1, -1) : text;
  }
  return text;
}

/** The declaration of a kernel's parameter. */
export function declare({ tensor, name, isResult, isAliased }: Parameter): string {
  const type = `${isResult ? '' : 'const '}${STORAGE_TYPE[tensor.storage]}`;
  return `${type} *${isAliased ? '' : '__restrict__ '}${name}`;
}
