/** @file The operators that ONNX Runtime's WebGPU provider has, by the type of what they compute with. */
import type { OnnxNode } from '../../src/engine/onnx/model_format.js';
import type { OnnxInfo } from '../../src/engine/onnx/shapes.js';

/** The release that was asked. `test/gpu/operators.test.ts` asks again. */
export const PROBED_VERSION = '1.30.0';

/** Types by operator. Those of Cast are `from>to`, and ScatterND has its reduction in its name. */
export const WEBGPU_OPERATORS: Readonly<Record<string, string>> = {
  Abs: 'float32',
  Add: 'float32 int32 int64',
  And: 'bool',
  ArgMax: 'float32 int32',
  Cast: 'float32>int32 float32>bool float32>int64 int32>float32 int32>bool int32>int64 bool>float32 bool>int32 bool>int64 int64>float32 int64>int32 int64>bool',
  Concat: 'float32 int32 int64',
  Conv: 'float32',
  Cos: 'float32',
  Div: 'float32 int32 int64',
  Equal: 'float32 int32 int64',
  Erf: 'float32',
  Exp: 'float32',
  Expand: 'float32 int32 bool int64',
  Floor: 'float32',
  Gather: 'float32 int32 bool int64',
  Gelu: 'float32',
  Gemm: 'float32 int32',
  Greater: 'float32 int32 int64',
  GreaterOrEqual: 'float32 int32 int64',
  HardSigmoid: 'float32',
  Identity: 'float32 int32',
  LayerNormalization: 'float32',
  Less: 'float32 int32 int64',
  LessOrEqual: 'float32 int32 int64',
  Log: 'float32',
  MatMul: 'float32',
  Max: 'float32 int32 int64',
  Min: 'float32 int32 int64',
  Mul: 'float32 int32 int64',
  Neg: 'float32',
  Not: 'bool',
  Pad: 'float32 int32',
  Pow: 'float32 int32',
  Reciprocal: 'float32',
  ReduceMax: 'float32 int32',
  ReduceMean: 'float32 int32',
  ReduceSum: 'float32 int32 int64',
  ReduceSumSquare: 'float32 int32',
  Relu: 'float32',
  Reshape: 'float32 int32 bool int64',
  'ScatterND add': 'float32 int32',
  'ScatterND max': 'float32 int32',
  Sin: 'float32',
  Slice: 'float32',
  Softmax: 'float32',
  Split: 'float32 int32',
  Sqrt: 'float32',
  Sub: 'float32 int32 int64',
  Tile: 'float32 int32 int64',
  Transpose: 'float32 int32',
  Where: 'float32 int32 bool int64',
};

/** The entry that a node needs: its operator and a type. */
export function entryOf(
  { op, attributes }: Pick<OnnxNode, 'op' | 'attributes'>,
  inputs: readonly OnnxInfo[],
  [result]: readonly OnnxInfo[],
): [operator: string, type: string] {
  if (op === 'Cast') return [op, `${inputs[0].type}>${result.type}`];
  if (op === 'ScatterND') return [`ScatterND ${attributes.reduction ?? 'none'}`, inputs[0].type];
  return [op, op === 'Where' ? inputs[1].type : inputs[0].type];
}
