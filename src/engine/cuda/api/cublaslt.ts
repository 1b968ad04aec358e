/**
 * @file cuBLASLt, which multiplies matrices. It counts rows and columns in column-major order; a row-major matrix is the
 * transpose of the column-major matrix with the same memory. So C = A·B is computed as Cᵀ = Bᵀ·Aᵀ: the library's first operand is
 * b, its second is a, its rows are N and its columns are M.
 */
import type { LibraryHandle } from 'koffi';
import { type Address, bind, nativeBytes, Out, openLibrary } from '../../../util/native/native.js';
import type { Epilogue, Gemm } from '../compile/program.js';
import { CudaError } from './error.js';

const FUNCTIONS = {
  cublasLtCreate: ['void *'],
  cublasLtDestroy: ['uint64'],
  cublasLtMatmulDescCreate: ['void *', 'int', 'int'],
  cublasLtMatmulDescSetAttribute: ['uint64', 'int', 'void *', 'size_t'],
  cublasLtMatmulDescDestroy: ['uint64'],
  cublasLtMatrixLayoutCreate: ['void *', 'int', 'uint64', 'uint64', 'int64'],
  cublasLtMatrixLayoutSetAttribute: ['uint64', 'int', 'void *', 'size_t'],
  cublasLtMatrixLayoutDestroy: ['uint64'],
  cublasLtMatmulPreferenceCreate: ['void *'],
  cublasLtMatmulPreferenceSetAttribute: ['uint64', 'int', 'void *', 'size_t'],
  cublasLtMatmulPreferenceDestroy: ['uint64'],
  cublasLtMatmulAlgoGetHeuristic: [
    ...['uint64', 'uint64', 'uint64', 'uint64', 'uint64', 'uint64', 'uint64'],
    ...['int', 'void *', 'void *'],
  ],
  cublasLtMatmul: [
    ...['uint64', 'uint64', 'void *', 'uint64', 'uint64', 'uint64', 'uint64', 'void *', 'uint64', 'uint64'],
    ...['uint64', 'uint64', 'void *', 'uint64', 'size_t', 'uint64'],
  ],
} as const;

type Name = keyof typeof FUNCTIONS;

const INVALID_VALUE = 7;
const NOT_SUPPORTED = 15;

/** cudaDataType. */
const DATA_TYPE = { float32: 0, bfloat16: 14 } as const;
/** cublasComputeType: sums are float32. */
const COMPUTE_TYPE = { float32: 68, tf32: 77 } as const;

/** cublasLtMatmulDescAttributes_t. */
const DESC = {
  transA: 3,
  transB: 4,
  epilogue: 7,
  biasPointer: 8,
  biasDataType: 26,
} as const;
/** cublasLtMatrixLayoutAttribute_t. */
const LAYOUT = { batchCount: 5, stridedBatchOffset: 6 } as const;
/** cublasLtMatmulPreferenceAttributes_t. */
const PREFERENCE = { maxWorkspace: 1, reductionSchemes: 3, alignments: [5, 6, 7, 8] } as const;

/**
 * cublasLtEpilogue_t. The bias has an element for each of the library's rows, which are our columns. The gradient of the bias
 * sums operand a, which is the library's B, over k. The epilogues with GELU are left out, because they approximate it by tanh.
 */
const EPILOGUE: Readonly<Record<Epilogue | 'none', number>> = {
  none: 1,
  bias: 4,
  'bias-grad': 512,
};

/**
 * Ways to add the parts of a product that is split along k: COMPUTE_TYPE and OUTPUT_TYPE add them in a fixed order. INPLACE (1) is
 * left out, because it adds by atomics in any order, and the same step would give other bits the second time.
 */
const REDUCTION_SCHEMES = 2 | 4;

/** Alignment of biases, their gradients and the workspace in bytes. */
const ALIGNMENT = 256;

/** cublasLtMatmulHeuristicResult_t: the algorithm is its beginning. */
const RESULT_BYTES = 96;
const RESULT_WORKSPACE = 64;
const RESULT_STATUS = 72;

/** A product that the library has an algorithm for. */
export interface MatmulPlan {
  readonly gemm: Gemm;
  /** Bytes of workspace that the algorithm uses. */
  readonly workspaceBytes: number;
}

/** The operands of a product. The addresses of a, b and c are multiples of the product's alignment, the others of 256. */
export interface MatmulPointers {
  readonly a: Address;
  readonly b: Address;
  readonly c: Address;
  /** The bias, or the gradient of the bias. */
  readonly bias?: Address;
}

/** The handles of a plan; 0 where there is none. */
interface Handles {
  operation: Address;
  a: Address;
  b: Address;
  c: Address;
}

class Plan implements MatmulPlan {
  workspaceBytes = 0;
  readonly handles: Handles = { operation: 0, a: 0, b: 0, c: 0 };
  readonly result = nativeBytes(RESULT_BYTES);
  readonly alpha: Float32Array;
  readonly beta: Float32Array;
  /** The pointer that the operation holds. */
  bias = 0;

  constructor(readonly gemm: Gemm) {
    const scalars = new ArrayBuffer(8);
    this.alpha = new Float32Array(scalars, 0, 1).fill(gemm.alpha);
    this.beta = new Float32Array(scalars, 4, 1).fill(gemm.beta);
  }
}

/** Loads cuBLASLt. Throws EngineError. */
export function loadCublasLt(path: string): CublasLt {
  return new CublasLt(openLibrary(path));
}

/** The library for the context that is current when the first plan is made. Functions throw CudaError. */
export class CublasLt {
  readonly #native: Record<Name, (...args: unknown[]) => unknown>;
  readonly #statusName: (code: number) => string;
  readonly #statusText: (code: number) => string;
  readonly #plans = new Map<string, Plan | null>();
  readonly #bytes = nativeBytes(8);
  readonly #view = new DataView(this.#bytes.buffer);
  #handle: Address = 0;
  readonly version: number;

  constructor(library: LibraryHandle) {
    this.#native = bind<Name>(library, 'int', FUNCTIONS);
    const texts = bind(library, 'str', {
      cublasLtGetStatusName: ['int'],
      cublasLtGetStatusString: ['int'],
    });
    this.#statusName = texts.cublasLtGetStatusName as (code: number) => string;
    this.#statusText = texts.cublasLtGetStatusString as (code: number) => string;
    this.version = Number(bind(library, 'size_t', { cublasLtGetVersion: [] }).cublasLtGetVersion());
  }

  /**
   * The library's fastest algorithm that uses at most `workspaceBytes`. Returns null if it has none, which is common for epilogues
   * with odd sizes. Plans are kept until `dispose`.
   */
  plan(gemm: Gemm, workspaceBytes: number): MatmulPlan | null {
    const key = `${workspaceBytes} ${JSON.stringify(gemm)}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      plan = this.#makePlan(gemm, workspaceBytes);
      this.#plans.set(key, plan);
    }
    return plan;
  }

  /**
   * Multiplies. `workspace` has the plan's `workspaceBytes`; it may be 0 if those are none. Throws RangeError for an address that
   * is not aligned, which would fail on the GPU later, or slow it down.
   */
  run(plan: MatmulPlan, pointers: MatmulPointers, workspace: Address, stream: Address): void {
    const own = plan as Plan;
    checkAlignment([pointers.a, pointers.b, pointers.c], own.gemm.alignment);
    checkAlignment([pointers.bias ?? 0, workspace], ALIGNMENT);
    const { operation, a, b, c } = own.handles;
    this.#setBias(own, pointers.bias);
    this.#call(
      'cublasLtMatmul',
      ...[this.#handle, operation, own.alpha, pointers.b, a, pointers.a, b, own.beta, pointers.c, c],
      ...[pointers.c, c, own.result, workspace, own.workspaceBytes, stream],
    );
  }

  /** Frees the plans and the library's handle; a later plan makes a new one. */
  dispose(): void {
    for (const plan of this.#plans.values()) if (plan) this.#destroy(plan);
    this.#plans.clear();
    if (this.#handle !== 0) this.#call('cublasLtDestroy', this.#handle);
    this.#handle = 0;
  }

  #makePlan(gemm: Gemm, workspaceBytes: number): Plan | null {
    if (gemm.a.storage !== gemm.b.storage) return null;
    const plan = new Plan(gemm);
    try {
      this.#describe(plan);
      if (this.#findAlgorithm(plan, workspaceBytes)) return plan;
    } catch (error) {
      this.#destroy(plan);
      throw error;
    }
    this.#destroy(plan);
    return null;
  }

  /** Makes the handles of a plan. Needs no GPU. */
  #describe({ gemm, handles }: Plan): void {
    const { M, N, K, a, b, c } = gemm;
    handles.a = this.#layout(b.isTransposed ? [K, N] : [N, K], b, gemm.batch);
    handles.b = this.#layout(a.isTransposed ? [M, K] : [K, M], a, gemm.batch);
    handles.c = this.#layout([N, M], c, gemm.batch);
    const scale = DATA_TYPE.float32;
    handles.operation = this.#create('cublasLtMatmulDescCreate', computeType(gemm), scale);
    this.#setOperation(handles.operation, DESC.transA, { int32: Number(b.isTransposed) });
    this.#setOperation(handles.operation, DESC.transB, { int32: Number(a.isTransposed) });
    this.#describeEpilogue(handles.operation, gemm);
  }

  #describeEpilogue(operation: Address, gemm: Gemm): void {
    this.#setOperation(operation, DESC.epilogue, { int32: EPILOGUE[gemm.epilogue] });
    if (!usesBias(gemm)) return;
    this.#setOperation(operation, DESC.biasDataType, { int32: DATA_TYPE[gemm.biasStorage] });
    // The search for an algorithm does not read at this address, but learns its alignment.
    this.#setOperation(operation, DESC.biasPointer, { int64: ALIGNMENT });
  }

  #layout(
    [rows, columns]: readonly [number, number],
    { storage, stride, batchStride }: Gemm['c'],
    batch: number,
  ): Address {
    const layout = this.#create('cublasLtMatrixLayoutCreate', DATA_TYPE[storage], rows, columns, stride);
    if (batch > 1) {
      this.#setAttribute('cublasLtMatrixLayoutSetAttribute', layout, LAYOUT.batchCount, { int32: batch });
      this.#setAttribute('cublasLtMatrixLayoutSetAttribute', layout, LAYOUT.stridedBatchOffset, {
        int64: batchStride,
      });
    }
    return layout;
  }

  /** Returns false if there is no algorithm. */
  #findAlgorithm(plan: Plan, workspaceBytes: number): boolean {
    const preference = this.#preference(workspaceBytes, plan.gemm.alignment);
    try {
      if (this.#handle === 0) this.#handle = this.#create('cublasLtCreate');
      const { operation, a, b, c } = plan.handles;
      const found = new Out();
      const code = this.#native.cublasLtMatmulAlgoGetHeuristic(
        ...[this.#handle, operation, a, b, c, c, preference, 1, plan.result, found.pointer],
      ) as number;
      if (code === NOT_SUPPORTED || code === INVALID_VALUE) return false;
      this.#check('cublasLtMatmulAlgoGetHeuristic', code);
      const result = new DataView(plan.result.buffer);
      plan.workspaceBytes = Number(result.getBigUint64(RESULT_WORKSPACE, true));
      return found.int32 > 0 && result.getInt32(RESULT_STATUS, true) === 0;
    } finally {
      this.#native.cublasLtMatmulPreferenceDestroy(preference);
    }
  }

  #preference(workspaceBytes: number, alignment: number): Address {
    const preference = this.#create('cublasLtMatmulPreferenceCreate');
    const set = (attribute: number, value: AttributeValue) =>
      this.#setAttribute('cublasLtMatmulPreferenceSetAttribute', preference, attribute, value);
    set(PREFERENCE.maxWorkspace, { int64: workspaceBytes });
    set(PREFERENCE.reductionSchemes, { int32: REDUCTION_SCHEMES });
    for (const attribute of PREFERENCE.alignments) set(attribute, { int32: alignment });
    return preference;
  }

  #setBias(plan: Plan, bias: Address = 0): void {
    if (!usesBias(plan.gemm) || bias === plan.bias) return;
    this.#setOperation(plan.handles.operation, DESC.biasPointer, { int64: bias });
    plan.bias = bias;
  }

  #destroy({ handles }: Plan): void {
    if (handles.operation !== 0) this.#call('cublasLtMatmulDescDestroy', handles.operation);
    for (const layout of [handles.a, handles.b, handles.c])
      if (layout !== 0) this.#call('cublasLtMatrixLayoutDestroy', layout);
  }

  #setOperation(operation: Address, attribute: number, value: AttributeValue): void {
    this.#setAttribute('cublasLtMatmulDescSetAttribute', operation, attribute, value);
  }

  #setAttribute(name: Name, handle: Address, attribute: number, value: AttributeValue): void {
    if ('int32' in value) this.#view.setInt32(0, value.int32, true);
    else this.#view.setBigInt64(0, BigInt(value.int64), true);
    this.#call(name, handle, attribute, this.#bytes, 'int32' in value ? 4 : 8);
  }

  #create(name: Name, ...args: unknown[]): Address {
    const out = new Out();
    this.#call(name, out.pointer, ...args);
    return out.value;
  }

  #call(name: Name, ...args: unknown[]): void {
    this.#check(name, this.#native[name](...args) as number);
  }

  #check(name: Name, code: number): void {
    if (code !== 0) throw new CudaError(name, code, this.#statusName(code), this.#statusText(code));
  }
}

/** An attribute of 4 or 8 bytes. */
type AttributeValue = { readonly int32: number } | { readonly int64: number };

function computeType({ a, compute }: Gemm): number {
  return a.storage === 'bfloat16' ? COMPUTE_TYPE.float32 : COMPUTE_TYPE[compute];
}

function usesBias({ epilogue }: Gemm): boolean {
  return epilogue !== 'none';
}

/** Throws RangeError. */
function checkAlignment(addresses: readonly Address[], alignment: number): void {
  if (addresses.some((address) => address % alignment !== 0))
    throw new RangeError(`an operand of a matrix product is not aligned to ${alignment} bytes`);
}
