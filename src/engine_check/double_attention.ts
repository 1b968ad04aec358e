/** @file Self-attention and its gradients in double precision. */
import { product, softmax } from './double.js';

export interface AttentionNumbers {
  /** [batch, tokens, 3·heads·features]: queries, keys, values, each split over the heads. */
  readonly qkv: Float64Array;
  readonly dy: Float64Array;
  /** Added to the scores, [batch·heads, tokens, tokens]. */
  readonly bias?: Float64Array;
  /** Factors of the probabilities, [batch·heads, tokens, tokens]. */
  readonly mask?: Float64Array;
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly features: number;
  readonly scale: number;
}

/** The value [batch, tokens, heads·features], then the gradients of qkv and, if there is one, of the bias. */
export function selfAttention(numbers: AttentionNumbers): Float64Array[] {
  const { qkv, dy, bias, mask, batch, tokens, heads, features, scale } = numbers;
  const out = new Float64Array(dy.length);
  const dqkv = new Float64Array(qkv.length);
  const dbias = new Float64Array(batch * heads * tokens * tokens);
  for (let s = 0; s < batch * heads; s++) {
    const [clip, head] = [Math.floor(s / heads), s % heads];
    const part = (i: number): Part => ({
      clip,
      column: (i * heads + head) * features,
      width: 3 * heads * features,
    });
    const own: Part = { clip, column: head * features, width: heads * features };
    const [q, k, v] = [0, 1, 2].map((i) => take(qkv, part(i), tokens, features));
    const at = s * tokens * tokens;
    const square = { rows: tokens, inner: features, columns: tokens, transposeB: true };
    const scores = product(q, k, square).map((value, i) => value * scale + (bias?.[at + i] ?? 0));
    const p = softmax(scores, tokens);
    const factor = (i: number) => mask?.[at + i] ?? 1;
    const kept = p.map((value, i) => value * factor(i));
    const rows = { rows: tokens, inner: tokens, columns: features };
    put(out, own, product(kept, v, rows), features);

    const g = take(dy, own, tokens, features);
    const dp = product(g, v, square).map((value, i) => value * factor(i));
    const ds = softmaxGradient(p, dp, tokens);
    dbias.set(ds, at);
    const scaled = ds.map((value) => value * scale);
    put(dqkv, part(0), product(scaled, k, rows), features);
    put(dqkv, part(1), product(scaled, q, { ...rows, transposeA: true }), features);
    put(dqkv, part(2), product(kept, g, { ...rows, transposeA: true }), features);
  }
  return bias ? [out, dqkv, dbias] : [out, dqkv];
}

/** Gradient of the scores from the probabilities p and their gradient. */
function softmaxGradient(p: Float64Array, dp: Float64Array, width: number): Float64Array {
  const ds = new Float64Array(p.length);
  for (let row = 0; row < p.length; row += width) {
    let along = 0;
    for (let i = row; i < row + width; i++) along += p[i] * dp[i];
    for (let i = row; i < row + width; i++) ds[i] = p[i] * (dp[i] - along);
  }
  return ds;
}

/** Columns of one clip in [batch, tokens, width]. */
interface Part {
  readonly clip: number;
  readonly column: number;
  readonly width: number;
}

function take(
  from: Float64Array,
  { clip, column, width }: Part,
  tokens: number,
  features: number,
): Float64Array {
  const part = new Float64Array(tokens * features);
  for (let n = 0; n < tokens; n++) {
    const at = (clip * tokens + n) * width + column;
    part.set(from.subarray(at, at + features), n * features);
  }
  return part;
}

function put(into: Float64Array, { clip, column, width }: Part, part: Float64Array, features: number): void {
  const tokens = part.length / features;
  for (let n = 0; n < tokens; n++) {
    into.set(part.subarray(n * features, (n + 1) * features), (clip * tokens + n) * width + column);
  }
}
