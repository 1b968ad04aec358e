/**
 * @file Self-attention on a GPU: the scores of some heads and rows at a time.
 *
 * Shapes: B clips, H heads, N tokens, D features of a head, S = B·H. A piece has s heads and r rows.
 */
import type { AttentionAttributes } from '../../kernel_contract.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import {
  innerProducts,
  selfAttentionGrad as selfAttentionGradOnCpu,
  selfAttention as selfAttentionOnCpu,
  splitTogether,
} from '../kernels/attention.js';
import { splitEvenly } from '../kernels/tiling.js';
import { itemsPerPiece } from './limits.js';
import { softmaxOrZeros, sumsOfProbabilities } from './softmax.js';

/** Axes of tensors [S, N, …]. */
const [HEADS, ROWS] = [0, 1];

interface Sizes {
  readonly B: number;
  readonly N: number;
  readonly H: number;
  readonly D: number;
  /** Heads of each piece, and rows of each piece. */
  readonly heads: readonly number[];
  readonly rows: readonly number[];
}

function sizesOf({ shape: [B, N, width] }: { shape: readonly number[] }, H: number): Sizes {
  return {
    B,
    N,
    H,
    D: width / H / 3,
    heads: splitEvenly(B * H, itemsPerPiece(N * N)),
    rows: splitEvenly(N, itemsPerPiece(N)),
  };
}

const transposed = (g: GraphBuilder, x: string) => g.op('Transpose', [x], { perm: [0, 2, 1] });
const scaled = (g: GraphBuilder, x: string, scale: number) => g.op('Mul', [x, g.scalar(scale)]);

/** Cuts tensors into pieces of these sizes along an axis; absent tensors stay absent. */
function piecesOf<T extends Record<string, string | undefined>>(
  g: GraphBuilder,
  tensors: T,
  sizes: readonly number[],
  axis: number,
): T[] {
  const parts = Object.entries(tensors).map(
    ([name, x]) => [name, x === undefined ? [] : g.split(x, sizes, axis)] as const,
  );
  return sizes.map((_, i) => Object.fromEntries(parts.map(([name, list]) => [name, list[i]])) as T);
}

/** softmax(q·kᵀ + bias) for scaled q [s, r, D] and kᵀ [s, D, N]: [s, r, N], with zeros in rows that should be NaN. */
function probabilities(g: GraphBuilder, q: string, kT: string, bias?: string): string {
  const scores = g.op('MatMul', [q, kT]);
  return softmaxOrZeros(g, bias ? g.op('Add', [scores, bias]) : scores);
}

export const selfAttention = fusedKernel('SelfAttention', {
  ...selfAttentionOnCpu.definition,
  lower: (g, { qkv, bias, mask }, { heads: H, scale }) => {
    const { B, N, D, heads, rows } = sizesOf(qkv, H);
    const [q, k, v] = splitTogether(g, qkv.name, 3, [B, N, H, D]);
    const all = { q: scaled(g, q, scale), kT: transposed(g, k), v, bias: bias?.name, mask: mask?.name };
    const groups = piecesOf(g, all, heads, HEADS).map(({ kT, v, ...byRow }) => {
      const pieces = piecesOf(g, byRow, rows, ROWS).map(({ q, bias, mask }) => {
        const p = probabilities(g, q, kT, bias);
        const out = g.op('MatMul', [mask ? g.op('Mul', [p, mask]) : p, v]);
        return g.op('Div', [out, sumsOfProbabilities(g, p)]);
      });
      return g.concat(pieces, 1);
    });
    const out = g.reshape(g.concat(groups, 0), [B, H, N, D]);
    return [g.op('Transpose', [out], { perm: [0, 2, 1, 3] })];
  },
});

/** Operands of the gradients for a group of heads: q is scaled, `inner` is Σ out·dy of each row. */
interface GradOperands extends Record<string, string | undefined> {
  readonly q: string;
  readonly k: string;
  readonly kT: string;
  readonly vT: string;
  readonly dy: string;
  readonly inner: string;
  readonly bias: string | undefined;
  readonly mask: string | undefined;
}

/**
 * The gradients of a group of heads. Where `probabilities` has zeros for NaN, NaN comes back with `inner`, for the output is NaN
 * there. Returns dq [s, N, D], dkᵀ and dvᵀ [s, D, N], and of the scores [s, N, N]. */
function groupGradients(g: GraphBuilder, group: GradOperands, rows: readonly number[]) {
  const { k, kT, vT, q, dy, inner, bias, mask } = group;
  const pieces = piecesOf(g, { q, dy, inner, bias, mask }, rows, ROWS).map((piece) => {
    const p = probabilities(g, piece.q, kT, piece.bias);
    const product = g.op('MatMul', [piece.dy, vT]);
    const dp = piece.mask ? g.op('Mul', [product, piece.mask]) : product;
    const ds = g.op('Mul', [p, g.op('Sub', [dp, piece.inner])]);
    const kept = piece.mask ? g.op('Mul', [p, piece.mask]) : p;
    return {
      ds,
      dq: g.op('MatMul', [ds, k]),
      // Transposing q and dy is much less than transposing N² numbers.
      dkT: g.op('MatMul', [transposed(g, piece.q), ds]),
      dvT: g.op('MatMul', [transposed(g, piece.dy), kept]),
    };
  });
  const sum = (parts: string[]) => parts.reduce((total, part) => g.op('Add', [total, part]));
  return {
    dq: g.concat(
      pieces.map((piece) => piece.dq),
      1,
    ),
    dkT: sum(pieces.map((piece) => piece.dkT)),
    dvT: sum(pieces.map((piece) => piece.dvT)),
    ds: pieces.map((piece) => piece.ds),
  };
}

interface Given {
  readonly dy: Operand;
  readonly qkv: Operand;
  readonly out: Operand;
  readonly bias?: Operand;
  readonly mask?: Operand;
}

function gradients(g: GraphBuilder, { dy, qkv, out, bias, mask }: Given, attributes: AttentionAttributes) {
  const { scale } = attributes;
  const { B, N, H, D, heads, rows } = sizesOf(qkv, attributes.heads);
  const shape = [B, N, H, D];
  const [inner] = splitTogether(g, innerProducts(g, out, dy, shape), 1, [B, N, H, 1]);
  const [q, k, v] = splitTogether(g, qkv.name, 3, shape);
  const [slopes] = splitTogether(g, dy.name, 1, shape);
  const all: GradOperands = {
    q: scaled(g, q, scale),
    k,
    kT: transposed(g, k),
    vT: transposed(g, v),
    dy: slopes,
    inner,
    bias: bias?.name,
    mask: mask?.name,
  };
  const groups = piecesOf(g, all, heads, HEADS).map((group) => groupGradients(g, group, rows));
  const joined = (name: 'dq' | 'dkT' | 'dvT') =>
    g.concat(
      groups.map((group) => group[name]),
      0,
    );
  const parts = [
    scaled(g, joined('dq'), scale),
    transposed(g, joined('dkT')),
    transposed(g, joined('dvT')),
  ].map((part) => g.reshape(part, [1, B, H, N, D]));
  const dqkv = g.op('Transpose', [g.concat(parts, 0)], { perm: [1, 3, 0, 2, 4] });
  const ds = () =>
    g.concat(
      groups.map((group) => g.concat(group.ds, 1)),
      0,
    );
  return { dqkv, ds };
}

export const selfAttentionGrad = fusedKernel('SelfAttentionGrad', {
  ...selfAttentionGradOnCpu.definition,
  lower: (g, operands, attributes) => {
    const { dqkv, ds } = gradients(g, operands, attributes);
    return operands.bias ? [dqkv, ds()] : [dqkv];
  },
});
