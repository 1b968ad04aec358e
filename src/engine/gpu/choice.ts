/** @file Chooses the GPU that the user asks for, or the best one. */
import type { LocalRank, Problem } from '../types.js';
import { isAccepted, isTooOld } from './dawn_order.js';
import { type GpuDevice, NVIDIA } from './device.js';
import { gpuOfProcess } from './gpu_of_process.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface GpuRequest {
  /** `ENGINE.GPU_INDEX`; null for the best GPU. */
  readonly index: number | null;
  /** Whether the user asked for a GPU, so that a software GPU is better than none. */
  readonly isRequired: boolean;
  /** The place of this process on its machine; by default it is alone. */
  readonly local?: LocalRank;
}

/**
 * Returns the GPU that STMIXER_GPU names, or else the request, or else CUDA_VISIBLE_DEVICES. If none of them names one, returns
 * the first real GPU that Dawn accepts, and of several processes on a machine each the next one; or a problem if there is none.
 * `devices` are in Dawn's order, and at least one.
 */
export function chooseGpu(
  devices: readonly GpuDevice[],
  request: GpuRequest,
  env: Environment,
): GpuDevice | Problem {
  const named = namedGpu(devices, request, env);
  if (named) return 'what' in named || isAccepted(named) ? named : refusal(named);
  const visible = visibleGpus(devices, env);
  if (visible.length === 0) {
    const what = `CUDA_VISIBLE_DEVICES is '${env.CUDA_VISIBLE_DEVICES}', which hides every GPU that Vulkan lists`;
    return { what, remedy: 'unset it, or set it to the number of a GPU' };
  }
  const real = visible.filter(({ type }) => type !== 'software');
  const candidates = [...real, ...(request.isRequired ? visible : [])];
  const best = gpuOfProcess(real.filter(isAccepted), request.local, env) ?? candidates.find(isAccepted);
  if (best) return best;
  if (candidates.length > 0) return refusal(candidates[0]);
  const what = `there is only ${visible[0].name}, which computes on the processor`;
  return { what, remedy: "install the GPU's driver; --device gpu uses the processor all the same" };
}

function namedGpu(
  devices: readonly GpuDevice[],
  { index }: GpuRequest,
  env: Environment,
): GpuDevice | Problem | null {
  const fromEnv = env.STMIXER_GPU?.trim();
  if (!fromEnv && index === null) return null;
  const name = fromEnv || String(index);
  const found = /^\d+$/.test(name)
    ? devices.find((device) => device.index === Number(name))
    : devices.find((device) => device.name.toLowerCase().includes(name.toLowerCase()));
  if (found) return found;
  const [setting, remedy] = fromEnv
    ? [`STMIXER_GPU is '${name}'`, 'set it to a number or a part of a name from this list, or unset it']
    : [`ENGINE.GPU_INDEX is ${name}`, 'choose a number from this list'];
  return { what: `${setting}, but the GPUs here are ${listText(devices)}`, remedy };
}

/**
 * Removes the NVIDIA GPUs that CUDA_VISIBLE_DEVICES hides and moves the ones that it names to the front. Its numbers count
 * as in nvidia-smi, by PCI address.
 */
function visibleGpus(devices: readonly GpuDevice[], env: Environment): GpuDevice[] {
  if (env.CUDA_VISIBLE_DEVICES === undefined) return [...devices];
  const others = devices.filter(({ vendorId }) => vendorId !== NVIDIA);
  const byAddress = devices
    .filter(({ vendorId }) => vendorId === NVIDIA)
    .sort((a, b) => (a.pciAddress ?? '').localeCompare(b.pciAddress ?? ''));
  const named = env.CUDA_VISIBLE_DEVICES.split(',').map((entry) => {
    const name = entry.trim();
    if (/^\d+$/.test(name)) return byAddress[Number(name)];
    const uuid = /^GPU-([0-9a-f-]+)$/i.exec(name)?.[1].toLowerCase();
    return uuid ? byAddress.find((device) => device.uuid?.startsWith(uuid)) : undefined;
  });
  // CUDA, too, ignores all entries after the first that is invalid.
  const end = named.indexOf(undefined);
  const visible = (end < 0 ? named : named.slice(0, end)) as GpuDevice[];
  return [...visible, ...others];
}

/** Why Dawn does not accept a GPU. */
function refusal({ name, driver, vulkanVersion, missingFeatures }: GpuDevice): Problem {
  const lack = isTooOld(vulkanVersion)
    ? `offers only Vulkan ${vulkanVersion}, and 1.1 is the oldest that will do`
    : `lacks ${missingFeatures.join(', ')}`;
  const remedy = /mesa/i.test(driver)
    ? 'install a newer Mesa; 25.0 is known to work, on Debian 12 with: apt-get install -t bookworm-backports mesa-vulkan-drivers'
    : "install a newer driver from the GPU's vendor";
  return { what: `the driver ${driver} of ${name} ${lack}`, remedy };
}

export function listText(devices: readonly GpuDevice[]): string {
  return devices.map(({ index, name }) => `${index} (${name})`).join(', ');
}
