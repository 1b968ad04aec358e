/** @file The GPUs of this machine: lists them, explains what is missing, and makes Dawn take the one that is wanted. */
import { EngineError } from '../../errors.js';
import type { Probe } from '../probe.js';
import { problemText } from '../problem.js';
import type { GpuMemoryUse, Problem } from '../types.js';
import { chooseGpu, type GpuRequest, listText } from './choice.js';
import { dawnChoice, dawnOrder, type PowerPreference } from './dawn_order.js';
import { type GpuDevice, isSameGpu } from './device.js';
import { MetalSource } from './metal.js';
import { reasonsForNoGpu } from './missing_gpu.js';
import type { GpuListing, GpuSource } from './source.js';
import { type EnvironmentChange, steerings } from './steering.js';
import { VulkanSource } from './vulkan.js';

export interface SelectedGpu {
  readonly device: GpuDevice;
  /** For the options of ONNX Runtime's WebGPU provider. */
  readonly powerPreference: PowerPreference;
}

/** The GPUs of this machine, also those that a selection hid from this process. */
export class Gpus {
  #listing: GpuListing | null = null;

  constructor(
    private readonly probe: Probe,
    private readonly source: GpuSource = sourceFor(probe),
  ) {}

  /** All GPUs, including software GPUs and those that Dawn refuses. Dawn takes the first one that it accepts. */
  devices(): readonly GpuDevice[] {
    return this.#list().devices;
  }

  /** Finds the reasons why the request cannot be met. Changes nothing. */
  problems(request: GpuRequest): Problem[] {
    const listing = this.#list();
    if (listing.devices.length === 0) return reasonsForNoGpu(listing, this.probe);
    const chosen = chooseGpu(listing.devices, request, this.probe.env);
    if (!('what' in chosen)) return [];
    const hasReal = listing.devices.some(({ type }) => type !== 'software');
    return [chosen, ...(hasReal ? [] : reasonsForNoGpu(listing, this.probe))];
  }

  /**
   * Sets the environment variables of this process that make Dawn take the wanted GPU. Must run before the WebGPU provider
   * starts. Throws EngineError.
   */
  select(request: GpuRequest): SelectedGpu {
    const problems = this.problems(request);
    if (problems.length > 0) throw new EngineError(problems.map(problemText).join('; '));
    const device = chooseGpu(this.devices(), request, this.probe.env) as GpuDevice;
    for (const { env, preference } of steerings(device, this.probe)) {
      const before = change(this.probe.env, env);
      const devices = Object.keys(env).length > 0 ? this.source.list().devices : this.devices();
      const taken = dawnChoice(devices, preference);
      if (taken && isSameGpu(taken, device)) return { device, powerPreference: preference };
      change(this.probe.env, before);
    }
    // The last attempt listed the GPUs of a changed environment.
    this.source.list();
    throw new EngineError(cannotSelect(device, this.devices()));
  }

  /** The memory in use now. Cheap. Null if the driver does not report it. */
  memory(device: GpuDevice): GpuMemoryUse | null {
    return this.source.memory(device);
  }

  #list(): GpuListing {
    if (!this.#listing) {
      const { devices, missing } = this.source.list();
      this.#listing = { devices: dawnOrder(devices).map((device, index) => ({ ...device, index })), missing };
    }
    return this.#listing;
  }
}

function sourceFor(probe: Probe): GpuSource {
  return probe.platform === 'darwin' ? new MetalSource(probe) : new VulkanSource(probe.platform);
}

/** Applies a change, and returns the change that takes it back. */
function change(env: Record<string, string | undefined>, to: EnvironmentChange): EnvironmentChange {
  const before = Object.fromEntries(Object.keys(to).map((name) => [name, env[name]]));
  for (const [name, value] of Object.entries(to)) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return before;
}

function cannotSelect(device: GpuDevice, devices: readonly GpuDevice[]): string {
  const remedy = {
    Vulkan:
      'install mesa-vulkan-drivers, whose layer can select any GPU by its address, or start a container that holds only this GPU',
    D3D12: 'choose the GPU for node.exe in Settings, System, Display, Graphics, or disable the other one',
    Metal: 'use the first one',
  }[device.backend];
  return `GPU ${device.index} cannot be selected among ${listText(devices)}: ${remedy}`;
}
