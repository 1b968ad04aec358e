/** @file Runs programs on a GPU. What runs with the same addresses again is captured as a CUDA graph. */
import type { Address } from '../../../util/native/native.js';
import type { Executable } from '../../lazy/compiler.js';
import { ArgumentBuffer } from '../api/argument_buffer.js';
import type { MatmulPlan } from '../api/cublaslt.js';
import { CudaTensor } from '../device/cuda_tensor.js';
import type { CudaDevice, CudaGraph } from '../device/device.js';
import type { Block } from '../device/region.js';
import {
  GEMM_WORKSPACE_BYTES,
  type GemmLaunch,
  type KernelLaunch,
  type Launch,
  type Place,
  type PlanLaunch,
  type Program,
} from './program.js';

/** Launches from which on a graph starts faster than they do one by one. */
const MIN_GRAPH_LAUNCHES = 4;
/** Sets of addresses that an executable remembers. Clips of other sizes have others. */
const MAX_RECALLED = 4;

/** The addresses of a run, and the graph of such runs once there has been a second one. */
interface Recalled {
  readonly inputs: readonly Address[];
  /** Of the outputs, and of the workspace if there is one. */
  readonly own: readonly Address[];
  graph: CudaGraph | null;
}

/** Queues a launch, given the addresses of each kind of place. */
type Queue = (addresses: Addresses) => void;

type Addresses = Readonly<Record<Place['kind'], readonly Address[]>>;

export class CudaExecutable implements Executable<CudaTensor> {
  readonly #queues: readonly Queue[];
  readonly #label: string;
  readonly #recalled: Recalled[] = [];

  constructor(
    private readonly device: CudaDevice,
    private readonly program: Program,
    /** Shapes of the outputs. */
    private readonly shapes: readonly (readonly number[])[],
  ) {
    const { source, launches } = program;
    const module = source ? device.loadModule(source) : null;
    const args = new ArgumentBuffer();
    this.#queues = launches.map((launch): Queue => {
      if (launch.kind === 'kernel')
        return kernelQueue(device, launch, module?.function(launch.name) as Address, args);
      if (launch.kind === 'gemm') return gemmQueue(device, launch);
      if (launch.kind === 'plan') return planQueue(device, launch);
      return (at) => device.clear(addressOf(launch.place, at), launch.bytes);
    });
    this.#label = labelOf(launches);
  }

  /** Results that may be written over a donated input are. */
  run(inputs: readonly CudaTensor[], donated?: ReadonlySet<CudaTensor>): CudaTensor[] {
    const addresses = inputs.map(({ address }) => address);
    const { outputs, workspaceBytes } = this.program;
    const donors = outputs.map(({ inPlaceOf }) => {
      const input = inPlaceOf === null ? undefined : inputs[inPlaceOf];
      return input && donated?.has(input) ? input : null;
    });
    const blocks: Block[] = [];
    try {
      const own = outputs.map(({ bytes }, n) => donors[n]?.address ?? this.#allocate(bytes, blocks));
      const workspace = workspaceBytes > 0 ? this.device.allocate(workspaceBytes) : null;
      try {
        this.#queue(addresses, workspace ? [...own, workspace.address] : own);
      } finally {
        // Whatever gets this memory next runs later on the stream.
        workspace?.release();
      }
    } catch (error) {
      for (const block of blocks) block.release();
      throw error;
    }
    return outputs.map(({ storage }, n) => {
      const block = donors[n]?.donate() ?? (blocks.shift() as Block);
      return new CudaTensor(this.device, this.shapes[n], storage, block);
    });
  }

  /** The results exist when the GPU has come to them, so there is nothing to wait for. */
  async runAsync(inputs: readonly CudaTensor[], donated?: ReadonlySet<CudaTensor>): Promise<CudaTensor[]> {
    return this.run(inputs, donated);
  }

  release(): void {
    for (const { graph } of this.#recalled.splice(0)) if (graph) this.device.freeGraph(graph);
  }

  #allocate(bytes: number, blocks: Block[]): Address {
    const block = this.device.allocate(bytes);
    blocks.push(block);
    return block.address;
  }

  #queue(inputs: readonly Address[], own: readonly Address[]): void {
    const run = () => {
      const { length } = this.program.outputs;
      const addresses: Addresses = {
        input: inputs,
        output: own.slice(0, length),
        workspace: own.slice(length),
      };
      for (const queue of this.#queues) queue(addresses);
    };
    if (!this.device.usesGraphs || this.#queues.length < MIN_GRAPH_LAUNCHES) {
      run();
      return;
    }
    const known = this.#recalled.findIndex(
      (other) => isEqual(other.inputs, inputs) && isEqual(other.own, own),
    );
    if (known < 0) {
      this.#remember({ inputs, own, graph: null });
      run();
      return;
    }
    const [recalled] = this.#recalled.splice(known, 1);
    this.#recalled.unshift(recalled);
    recalled.graph ??= this.device.capture(this.#label, run);
    this.device.launchGraph(recalled.graph);
  }

  #remember(recalled: Recalled): void {
    this.#recalled.unshift(recalled);
    const forgotten = this.#recalled.splice(MAX_RECALLED);
    for (const { graph } of forgotten) if (graph) this.device.freeGraph(graph);
  }
}

function isEqual(a: readonly Address[], b: readonly Address[]): boolean {
  return a.length === b.length && a.every((address, n) => address === b[n]);
}

function addressOf({ kind, index, offset }: Place, addresses: Addresses): Address {
  return addresses[kind][index] + offset;
}

function kernelQueue(device: CudaDevice, launch: KernelLaunch, fn: Address, args: ArgumentBuffer): Queue {
  return (addresses) => {
    args.clear();
    for (const arg of launch.args) args.push(arg.kind === 'integer' ? arg.value : addressOf(arg, addresses));
    device.launch(fn, launch, args);
  };
}

function gemmQueue(device: CudaDevice, launch: GemmLaunch): Queue {
  const library = device.cublasLt;
  const plan = library?.plan(launch.gemm, GEMM_WORKSPACE_BYTES) ?? null;
  if (!library || !plan) throw new Error(`cuBLASLt has no algorithm for ${JSON.stringify(launch.gemm)}`);
  return (addresses) => {
    const pointers = {
      a: addressOf(launch.a, addresses),
      b: addressOf(launch.b, addresses),
      c: addressOf(launch.c, addresses),
      bias: launch.bias && addressOf(launch.bias, addresses),
    };
    device.queue(launch.label, () => {
      library.run(plan as MatmulPlan, pointers, addressOf(launch.workspace, addresses), device.stream);
    });
  };
}

function planQueue(device: CudaDevice, { plan, tensors, workspace, label }: PlanLaunch): Queue {
  const { cudnn } = device;
  if (!cudnn) throw new Error(`the plan ${plan} needs cuDNN`);
  return (addresses) => {
    const placed = tensors.map(({ id, place }) => ({ id, address: addressOf(place, addresses) }));
    device.queue(label, () => cudnn.run(plan, placed, addressOf(workspace, addresses)));
  };
}

/** The first and the last operation of a program. */
function labelOf(launches: readonly Launch[]): string {
  const [first, last] = [launches[0], launches[launches.length - 1]];
  return launches.length > 1 ? `${first.label} … ${last.label}` : (first?.label ?? '');
}
