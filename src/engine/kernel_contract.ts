/**
 * @file The contract of the fused kernels, formulas that an engine may compute as one operation: their names, inputs,
 * attributes and results. nn/fused.ts calls the kernels, and the lowerings of an engine implement them.
 */

/** The types of a kernel's inputs, attributes and results. */
export interface KernelSignature {
  readonly inputs: string;
  /** Names of inputs that may be left out. */
  readonly optional: string;
  readonly attributes: object;
  /** One element for each result; only their number and labels matter. */
  readonly results: readonly unknown[];
}

/** The inputs of a kernel as tensors of type T. */
export type InputsOf<S extends KernelSignature, T> = { readonly [Name in S['inputs']]: T } & {
  readonly [Name in S['optional']]?: T;
};

/** The results of a kernel as values of type T. */
export type ResultsOf<S extends KernelSignature, T> = TupleOf<S['results'], T>;

/** A tuple with as many elements as R, all of type T. */
type TupleOf<R extends readonly unknown[], T> = { [Index in keyof R]: T };

/** Names of all inputs, in the order in which they are recorded, and whether they may be left out. */
export type InputTable<S extends KernelSignature> = { readonly [Name in S['inputs']]: 'required' } & {
  readonly [Name in S['optional']]: 'optional';
};

type None = Readonly<Record<never, never>>;

interface Signature<
  Inputs extends string,
  Results extends readonly unknown[],
  Attributes extends object = None,
  Optional extends string = never,
> {
  readonly inputs: Inputs;
  readonly optional: Optional;
  readonly attributes: Attributes;
  readonly results: Results;
}

interface NormAttributes {
  readonly eps: number;
  /** Number of elements that are normalised together. */
  readonly width: number;
}

export interface AttentionAttributes {
  readonly heads: number;
  /** Factor on the scores. */
  readonly scale: number;
}

/** Extents along the axes T, H, W. */
export type Size3 = readonly [number, number, number];

export interface ConvAttributes {
  readonly stride: Size3;
  /** Zeros before and after each axis. */
  readonly padding: Size3;
}

/** Windows of a map, which a convolution or pooling reads. Padding is never the maximum of one. */
export interface Windows extends ConvAttributes {
  readonly kernel: Size3;
}

/** Number of windows along each axis of a map [B, T, H, W, C]. */
export function countWindows([, T, H, W]: readonly number[], { kernel, stride, padding }: Windows): Size3 {
  const [t, h, w] = [T, H, W].map((n, i) => Math.floor((n + 2 * padding[i] - kernel[i]) / stride[i]) + 1);
  return [t, h, w];
}

/** Letters in shapes: B clips, N rows or tokens, C features, H heads, S = B·H, D features of a head, K samples, R table rows. */
export interface FusedKernels {
  /** x·Φ(x). */
  Gelu: Signature<'x', [y: unknown]>;
  GeluGrad: Signature<'dy' | 'x', [dx: unknown]>;
  /** dy where y = max(x, 0) is positive, else 0. */
  ReluGrad: Signature<'dy' | 'y', [dx: unknown]>;
  /** Normalises rows of `width` elements. Weight and bias [C] apply to the last axis; there are both or neither. */
  LayerNorm: Signature<'x', [y: unknown], NormAttributes, 'weight' | 'bias'>;
  /** The last two results exist only with a weight. */
  LayerNormGrad: Signature<
    'dy' | 'x',
    [dx: unknown, dweight?: unknown, dbias?: unknown],
    NormAttributes,
    'weight'
  >;
  /** x·Wᵀ + b for x [N, in], weight [out, in], bias [out]. */
  Linear: Signature<'x' | 'weight', [y: unknown], None, 'bias'>;
  /** An engine may leave out `dbias` only when the layer has no bias. */
  LinearGrad: Signature<'dy' | 'x' | 'weight', [dx: unknown, dweight: unknown, dbias?: unknown]>;
  /**
   * softmax(scale·q·kᵀ + bias)·mask·v of qkv [B, N, 3·H·D], bias and mask [S, N, N]. Returns [B, N, H·D] and, on engines whose
   * gradient uses them, the logarithms of the softmax's sums of exponentials [B, H, N].
   */
  SelfAttention: Signature<'qkv', [out: unknown, statistics?: unknown], AttentionAttributes, 'bias' | 'mask'>;
  /** `out` and `statistics` are the results of the forward pass; `dbias` exists only with a bias. */
  SelfAttentionGrad: Signature<
    'dy' | 'qkv' | 'out',
    [dqkv: unknown, dbias?: unknown],
    AttentionAttributes,
    'statistics' | 'bias' | 'mask'
  >;
  /**
   * Convolution of x [B, T, H, W, in] with weight [out, in, t, h, w], plus bias [out], plus a residual of the result's shape. With
   * `relu`, negative results become 0.
   */
  Conv3d: Signature<
    'x' | 'weight',
    [y: unknown],
    ConvAttributes & { readonly relu: boolean },
    'bias' | 'residual'
  >;
  /** `shape` is the shape of x; dy is the gradient of the result without ReLU. */
  Conv3dGradInput: Signature<
    'dy' | 'weight',
    [dx: unknown],
    ConvAttributes & { readonly shape: readonly number[] }
  >;
  Conv3dGradFilter: Signature<'x' | 'dy', [dweight: unknown], Windows>;
  /**
   * Normalises each channel of x [B, T, H, W, C] with its mean and biased variance over all positions, then multiplies by weight [C]
   * and adds bias [C] and a residual of x's shape. With `relu`, negative results become 0.
   */
  BatchNorm: Signature<
    'x' | 'weight' | 'bias',
    [y: unknown, mean: unknown, variance: unknown],
    { readonly eps: number; readonly relu: boolean },
    'residual'
  >;
  /** With `y`, the result of the forward pass, dy counts only where y is positive: the gradient of a ReLU comes first. */
  BatchNormGrad: Signature<
    'dy' | 'x' | 'weight' | 'mean' | 'variance',
    [dx: unknown, dweight: unknown, dbias: unknown],
    { readonly eps: number },
    'y'
  >;
  /** Sum of the rows of x [N, C]: [C]. */
  ColumnSums: Signature<'x', [sums: unknown]>;
  /** Maximum over windows of x [B, T, H, W, C]. */
  MaxPool3d: Signature<'x', [y: unknown], Windows>;
  /** The first maximum of each window, in the order of x, gets the gradient. */
  MaxPool3dGrad: Signature<'dy' | 'x' | 'y', [dx: unknown], Windows>;
  /** y[n] = Σ_k weight[n, k]·table[index[n, k]] for table [R, D], index and weight [N, K]. Returns [N, D]. */
  WeightedRowSum: Signature<'table' | 'index' | 'weight', [y: unknown]>;
  /** `shape` is the shape of the table. */
  WeightedRowSumGradTable: Signature<
    'index' | 'weight' | 'dy',
    [dtable: unknown],
    { readonly shape: readonly number[] }
  >;
  WeightedRowSumGradWeight: Signature<'table' | 'index' | 'dy', [dweight: unknown]>;
  /** One update of Adam, or of AdamW if `decoupled`; `scalars` holds ADAM_SCALARS. */
  AdamUpdate: Signature<
    'weight' | 'grad' | 'exp_avg' | 'exp_avg_sq' | 'scalars',
    [weight: unknown, exp_avg: unknown, exp_avg_sq: unknown],
    { readonly decoupled: boolean }
  >;
  /** Σ x² of all elements, []. */
  SumOfSquares: Signature<'x', [sum: unknown]>;
}

export type FusedKernelName = keyof FusedKernels;
export type FusedInputs<K extends FusedKernelName, T> = InputsOf<FusedKernels[K], T>;
export type FusedResults<K extends FusedKernelName, T> = ResultsOf<FusedKernels[K], T>;
export type FusedAttributes<K extends FusedKernelName> = FusedKernels[K]['attributes'];

export const FUSED_KERNELS: { readonly [K in FusedKernelName]: InputTable<FusedKernels[K]> } = {
  Gelu: { x: 'required' },
  GeluGrad: { dy: 'required', x: 'required' },
  ReluGrad: { dy: 'required', y: 'required' },
  LayerNorm: { x: 'required', weight: 'optional', bias: 'optional' },
  LayerNormGrad: { dy: 'required', x: 'required', weight: 'optional' },
  Linear: { x: 'required', weight: 'required', bias: 'optional' },
  LinearGrad: { dy: 'required', x: 'required', weight: 'required' },
  SelfAttention: { qkv: 'required', bias: 'optional', mask: 'optional' },
  SelfAttentionGrad: {
    dy: 'required',
    qkv: 'required',
    out: 'required',
    statistics: 'optional',
    bias: 'optional',
    mask: 'optional',
  },
  Conv3d: { x: 'required', weight: 'required', bias: 'optional', residual: 'optional' },
  Conv3dGradInput: { dy: 'required', weight: 'required' },
  Conv3dGradFilter: { x: 'required', dy: 'required' },
  BatchNorm: { x: 'required', weight: 'required', bias: 'required', residual: 'optional' },
  BatchNormGrad: {
    dy: 'required',
    x: 'required',
    weight: 'required',
    mean: 'required',
    variance: 'required',
    y: 'optional',
  },
  ColumnSums: { x: 'required' },
  MaxPool3d: { x: 'required' },
  MaxPool3dGrad: { dy: 'required', x: 'required', y: 'required' },
  WeightedRowSum: { table: 'required', index: 'required', weight: 'required' },
  WeightedRowSumGradTable: { index: 'required', weight: 'required', dy: 'required' },
  WeightedRowSumGradWeight: { table: 'required', index: 'required', dy: 'required' },
  AdamUpdate: {
    weight: 'required',
    grad: 'required',
    exp_avg: 'required',
    exp_avg_sq: 'required',
    scalars: 'required',
  },
  SumOfSquares: { x: 'required' },
};

/** A tfjs backend with fused kernels. For other backends, nn/fused.ts composes them of tfjs's operations. */
export interface FusedBackend {
  /** The kernels that the backend has; each must be registered with tfjs. */
  readonly fusedKernels: ReadonlySet<FusedKernelName>;
}

/**
 * The elements of AdamUpdate's `scalars` in order; t is the number of the step and c = √(1 − β2^t). Both fractions of Adam's
 * m/(1 − β1^t) / (√(v/(1 − β2^t)) + eps) are multiplied by c, which saves a pass over the numbers.
 */
export const ADAM_SCALARS = [
  /** 1 − lr·weight decay, which shrinks the weight itself. */
  'decay',
  /** Factor of the weight in the gradient. */
  'l2',
  'beta1',
  'oneMinusBeta1',
  'beta2',
  'oneMinusBeta2',
  /** eps·c. */
  'eps',
  /** lr·c/(1 − β1^t). */
  'stepSize',
] as const;

export type AdamScalars<T> = Readonly<Record<(typeof ADAM_SCALARS)[number], T>>;

/** Names the elements of `scalars` after they have been split. */
export function nameAdamScalars<T>(elements: readonly T[]): AdamScalars<T> {
  return Object.fromEntries(ADAM_SCALARS.map((name, i) => [name, elements[i]])) as AdamScalars<T>;
}
