/** @file The plans that the programs of a GPU use, each made once. */
import type { Address } from '../../../util/native/native.js';
import type { Cudnn, CudnnHandle } from '../api/cudnn.js';
import { type AttentionShape, attentionBackward, attentionForward } from './attention.js';
import { type ConvolutionShape, convolution } from './convolution.js';
import type { ConvolutionPass } from './graph.js';
import type { CudnnDevice, CudnnPlan, PlanContext } from './plan.js';
import type { PlanCache } from './plan_cache.js';

/** What a plan computes: see attention.ts and convolution.ts for the arguments. */
export type PlannedComputation =
  | { readonly kind: 'attention' | 'attention-gradient'; readonly shape: AttentionShape }
  | { readonly kind: 'convolution'; readonly pass: ConvolutionPass; readonly shape: ConvolutionShape };

export type PlanRequest = Pick<PlanContext, 'isDeterministic' | 'allowsTf32'> & PlannedComputation;

export interface NamedPlan {
  /** Identifies the plan among those of `CudnnPlans`. */
  readonly name: string;
  readonly plan: Pick<CudnnPlan, 'arguments' | 'workspaceBytes'>;
}

export interface CudnnPlansOptions {
  readonly cudnn: Cudnn;
  readonly name: string;
  readonly computeCapability: CudnnDevice['computeCapability'];
  /** All plans run on it. */
  readonly stream: Address;
  readonly cache?: PlanCache;
  readonly explain?: PlanContext['explain'];
}

/** cuDNN on the GPU whose context is current. */
export class CudnnPlans {
  readonly #context: Omit<PlanContext, 'isDeterministic' | 'allowsTf32'>;
  readonly #handle: CudnnHandle;
  /** 92400 for 9.24. */
  readonly version: number;
  /** Null for what cuDNN does not support. */
  readonly #plans = new Map<string, CudnnPlan | null>();

  /** Throws CudaError. */
  constructor({ cudnn, name, computeCapability, stream, cache, explain }: CudnnPlansOptions) {
    this.#handle = cudnn.createHandle(stream);
    this.version = cudnn.version;
    const device = { name, computeCapability, target: { handle: this.#handle } };
    this.#context = { cudnn, device, cache, explain };
  }

  /** A plan, which is made at the first request; null if cuDNN has none. */
  find(request: PlanRequest): NamedPlan | null {
    const name = JSON.stringify(request);
    let plan = this.#plans.get(name);
    if (plan === undefined) {
      plan = this.#make(request);
      this.#plans.set(name, plan);
    }
    return plan && { name, plan };
  }

  /** Queues a plan with the addresses of its arguments, by their ids, and a workspace. Throws CudaError. */
  run(
    name: string,
    tensors: readonly { readonly id: number; readonly address: Address }[],
    workspace: Address,
  ): void {
    const plan = this.#plans.get(name);
    if (!plan) throw new Error(`there is no plan ${name}`);
    plan.execute(this.#handle, tensors, workspace);
  }

  release(): void {
    for (const plan of this.#plans.values()) plan?.release();
    this.#plans.clear();
    this.#context.cudnn.destroyHandle(this.#handle);
  }

  #make(request: PlanRequest): CudnnPlan | null {
    const { isDeterministic, allowsTf32 } = request;
    const context = { ...this.#context, isDeterministic, allowsTf32 };
    if (request.kind === 'convolution') return convolution(context, request.pass, request.shape);
    const make = request.kind === 'attention' ? attentionForward : attentionBackward;
    return make(context, request.shape);
  }
}
