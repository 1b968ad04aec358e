/** @file The state dict of a module: its parameters and buffers as host tensors. */
import { hostTensor } from '../engine/to_host.js';
import { float32Tensor, type HostTensor } from '../formats/host_tensor.js';
import { type Module, StateBuffer } from '../nn/module.js';
import { bytesOf } from '../util/bytes.js';

/** The state dict in PyTorch's order. A weight is read from the engine when its bytes are asked for. */
export function modelState(module: Module): Map<string, HostTensor> {
  const state = new Map<string, HostTensor>();
  for (const [name, entry] of module.namedState())
    state.set(
      name,
      entry instanceof StateBuffer ? bufferTensor(entry) : hostTensor(entry.value, entry.shape),
    );
  return state;
}

/** A copy of a buffer as it is now. */
function bufferTensor({ dtype, shape, data }: StateBuffer): HostTensor {
  if (dtype === 'float32') return float32Tensor([...shape], data.slice());
  const bytes = bytesOf(BigInt64Array.from(data, BigInt));
  return { dtype, shape, bytes: () => bytes };
}
