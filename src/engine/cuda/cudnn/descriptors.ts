/** @file Hands graphs of operations to cuDNN as descriptors. */
import type { CudnnHandle, Descriptor, Descriptors } from '../api/cudnn.js';
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  CROSS_CORRELATION,
  DATA_TYPE,
  DESCRIPTOR,
  POINTWISE,
  REDUCE_ADD,
} from '../api/cudnn_constants.js';
import type {
  AttentionTensor,
  ConvolutionPass,
  GraphTensor,
  Operation,
  OperationGraph,
  PointwiseMode,
} from './graph.js';

/** Alignment of all addresses, in bytes: kernels load up to 16 bytes at a time. */
export const ALIGNMENT = 16;

const TYPES = { float32: DATA_TYPE.FLOAT, bfloat16: DATA_TYPE.BFLOAT16 } as const;

const MODES: Readonly<Record<PointwiseMode, number>> = {
  mul: POINTWISE.MUL,
  sub: POINTWISE.SUB,
  exp: POINTWISE.EXP,
  identity: POINTWISE.IDENTITY,
};

interface ConvolutionAttributes {
  readonly kind: number;
  readonly convolution: number;
  readonly alpha: number;
  readonly beta: number;
  readonly x: number;
  readonly w: number;
  readonly y: number;
}

const CONVOLUTIONS: Readonly<Record<ConvolutionPass, ConvolutionAttributes>> = {
  forward: {
    kind: DESCRIPTOR.OPERATION_CONVOLUTION_FORWARD,
    convolution: ATTRIBUTE.OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
    alpha: ATTRIBUTE.OPERATION_CONVOLUTION_FORWARD_ALPHA,
    beta: ATTRIBUTE.OPERATION_CONVOLUTION_FORWARD_BETA,
    x: ATTRIBUTE.OPERATION_CONVOLUTION_FORWARD_X,
    w: ATTRIBUTE.OPERATION_CONVOLUTION_FORWARD_W,
    y: ATTRIBUTE.OPERATION_CONVOLUTION_FORWARD_Y,
  },
  data: {
    kind: DESCRIPTOR.OPERATION_CONVOLUTION_BACKWARD_DATA,
    convolution: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
    alpha: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
    beta: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_DATA_BETA,
    x: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_DATA_DX,
    w: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_DATA_W,
    y: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_DATA_DY,
  },
  filter: {
    kind: DESCRIPTOR.OPERATION_CONVOLUTION_BACKWARD_FILTER,
    convolution: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
    alpha: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
    beta: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_FILTER_BETA,
    x: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_FILTER_X,
    w: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_FILTER_DW,
    y: ATTRIBUTE.OPERATION_CONVOLUTION_BWD_FILTER_DY,
  },
};

const ATTENTION: Readonly<Record<AttentionTensor, number>> = {
  q: ATTRIBUTE.OPERATION_SDPA_FWD_QDESC,
  k: ATTRIBUTE.OPERATION_SDPA_FWD_KDESC,
  v: ATTRIBUTE.OPERATION_SDPA_FWD_VDESC,
  o: ATTRIBUTE.OPERATION_SDPA_FWD_ODESC,
  statistics: ATTRIBUTE.OPERATION_SDPA_FWD_STATSDESC,
  scale: ATTRIBUTE.OPERATION_SDPA_FWD_SCALEDESC,
};

/** Makes the descriptor of a graph. `handle` is left out for a GPU that is only described. Throws CudaError. */
export function describeGraph(
  descriptors: Descriptors,
  graph: OperationGraph,
  handle: CudnnHandle | undefined,
): Descriptor {
  const describer = new Describer(descriptors, graph.tensors);
  const operations = graph.operations.map((operation) => describer.operation(operation));
  const described = descriptors.create(DESCRIPTOR.OPERATIONGRAPH);
  if (handle !== undefined) described.setHandle(ATTRIBUTE.OPERATIONGRAPH_HANDLE, handle);
  return described.setDescriptors(ATTRIBUTE.OPERATIONGRAPH_OPS, operations).finalize();
}

type OperationOf<Kind> = Extract<Operation, { readonly kind: Kind }>;

class Describer {
  readonly #tensors: ReadonlyMap<number, Descriptor>;

  constructor(
    private readonly descriptors: Descriptors,
    tensors: readonly GraphTensor[],
  ) {
    this.#tensors = new Map(tensors.map((tensor) => [tensor.id, this.#tensor(tensor)]));
  }

  operation(operation: Operation): Descriptor {
    switch (operation.kind) {
      case 'pointwise':
        return this.#pointwise(operation);
      case 'matmul':
        return this.#matmul(operation);
      case 'sum':
        return this.#sum(operation);
      case 'reshape':
        return this.#make(DESCRIPTOR.OPERATION_RESHAPE, [
          [ATTRIBUTE.OPERATION_RESHAPE_XDESC, operation.x],
          [ATTRIBUTE.OPERATION_RESHAPE_YDESC, operation.y],
        ]).finalize();
      case 'convolution':
        return this.#convolution(operation);
      case 'attention':
        return this.#attention(operation);
    }
  }

  #tensor({ id, type, dims, strides, place }: GraphTensor): Descriptor {
    const descriptor = this.descriptors
      .create(DESCRIPTOR.TENSOR)
      .setEnumeration(ATTRIBUTE.TENSOR_DATA_TYPE, ATTRIBUTE_TYPE.DATA_TYPE, TYPES[type])
      .setIntegers(ATTRIBUTE.TENSOR_DIMENSIONS, dims)
      .setIntegers(ATTRIBUTE.TENSOR_STRIDES, strides)
      .setIntegers(ATTRIBUTE.TENSOR_UNIQUE_ID, [id])
      .setIntegers(ATTRIBUTE.TENSOR_BYTE_ALIGNMENT, [ALIGNMENT]);
    if (place.kind === 'virtual') descriptor.setBoolean(ATTRIBUTE.TENSOR_IS_VIRTUAL, true);
    if (place.kind === 'scalar') descriptor.setBoolean(ATTRIBUTE.TENSOR_IS_BY_VALUE, true);
    return descriptor.finalize();
  }

  /** Makes an operation with tensors as its attributes. */
  #make(kind: number, tensors: readonly (readonly [attribute: number, id: number])[]): Descriptor {
    const descriptor = this.descriptors.create(kind);
    for (const [attribute, id] of tensors) descriptor.setDescriptors(attribute, [this.#tensors.get(id)!]);
    return descriptor;
  }

  #pointwise({ mode, inputs, y }: OperationOf<'pointwise'>): Descriptor {
    const definition = this.descriptors
      .create(DESCRIPTOR.POINTWISE)
      .setEnumeration(ATTRIBUTE.POINTWISE_MODE, ATTRIBUTE_TYPE.POINTWISE_MODE, MODES[mode])
      .setEnumeration(ATTRIBUTE.POINTWISE_MATH_PREC, ATTRIBUTE_TYPE.DATA_TYPE, DATA_TYPE.FLOAT)
      .finalize();
    const operands = [ATTRIBUTE.OPERATION_POINTWISE_XDESC, ATTRIBUTE.OPERATION_POINTWISE_BDESC];
    return this.#make(DESCRIPTOR.OPERATION_POINTWISE, [
      ...inputs.map((id, i) => [operands[i], id] as const),
      [ATTRIBUTE.OPERATION_POINTWISE_YDESC, y],
    ])
      .setDescriptors(ATTRIBUTE.OPERATION_POINTWISE_PW_DESCRIPTOR, [definition])
      .finalize();
  }

  #matmul({ a, b, c }: OperationOf<'matmul'>): Descriptor {
    const definition = this.descriptors
      .create(DESCRIPTOR.MATMUL)
      .setEnumeration(ATTRIBUTE.MATMUL_COMP_TYPE, ATTRIBUTE_TYPE.DATA_TYPE, DATA_TYPE.FLOAT)
      .finalize();
    return this.#make(DESCRIPTOR.OPERATION_MATMUL, [
      [ATTRIBUTE.OPERATION_MATMUL_ADESC, a],
      [ATTRIBUTE.OPERATION_MATMUL_BDESC, b],
      [ATTRIBUTE.OPERATION_MATMUL_CDESC, c],
    ])
      .setDescriptors(ATTRIBUTE.OPERATION_MATMUL_DESC, [definition])
      .finalize();
  }

  #sum({ x, y }: OperationOf<'sum'>): Descriptor {
    const definition = this.descriptors
      .create(DESCRIPTOR.REDUCTION)
      .setEnumeration(ATTRIBUTE.REDUCTION_OPERATOR, ATTRIBUTE_TYPE.REDUCTION_OPERATOR_TYPE, REDUCE_ADD)
      .setEnumeration(ATTRIBUTE.REDUCTION_COMP_TYPE, ATTRIBUTE_TYPE.DATA_TYPE, DATA_TYPE.FLOAT)
      .finalize();
    return this.#make(DESCRIPTOR.OPERATION_REDUCTION, [
      [ATTRIBUTE.OPERATION_REDUCTION_XDESC, x],
      [ATTRIBUTE.OPERATION_REDUCTION_YDESC, y],
    ])
      .setDescriptors(ATTRIBUTE.OPERATION_REDUCTION_DESC, [definition])
      .finalize();
  }

  #convolution({ pass, x, w, y, padding, stride }: OperationOf<'convolution'>): Descriptor {
    const definition = this.descriptors
      .create(DESCRIPTOR.CONVOLUTION)
      .setEnumeration(ATTRIBUTE.CONVOLUTION_COMP_TYPE, ATTRIBUTE_TYPE.DATA_TYPE, DATA_TYPE.FLOAT)
      .setEnumeration(ATTRIBUTE.CONVOLUTION_CONV_MODE, ATTRIBUTE_TYPE.CONVOLUTION_MODE, CROSS_CORRELATION)
      .setIntegers(ATTRIBUTE.CONVOLUTION_SPATIAL_DIMS, [stride.length])
      .setIntegers(
        ATTRIBUTE.CONVOLUTION_DILATIONS,
        stride.map(() => 1),
      )
      .setIntegers(ATTRIBUTE.CONVOLUTION_FILTER_STRIDES, stride)
      .setIntegers(ATTRIBUTE.CONVOLUTION_PRE_PADDINGS, padding)
      .setIntegers(ATTRIBUTE.CONVOLUTION_POST_PADDINGS, padding)
      .finalize();
    const attributes = CONVOLUTIONS[pass];
    return this.#make(attributes.kind, [
      [attributes.x, x],
      [attributes.w, w],
      [attributes.y, y],
    ])
      .setDescriptors(attributes.convolution, [definition])
      .setFloat(attributes.alpha, 1)
      .setFloat(attributes.beta, 0)
      .finalize();
  }

  #attention({ tensors }: OperationOf<'attention'>): Descriptor {
    const names = Object.keys(ATTENTION) as AttentionTensor[];
    return this.#make(
      DESCRIPTOR.OPERATION_SDPA_FWD,
      names.map((name) => [ATTENTION[name], tensors[name]] as const),
    ).finalize();
  }
}
