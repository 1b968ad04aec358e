/** @file `npx tsx scripts/half-precision.ts IN.pth OUT.pth`: the weights of a checkpoint alone, as float16. */
import { readPth } from '../src/checkpoint/pth_reader.js';
import { writePth } from '../src/checkpoint/pth_writer.js';
import { type HostTensor, toFloat32 } from '../src/util/host_tensor.js';

/** The nearest float16, ties to even; what is too large becomes infinite, what is too small keeps fewer digits. */
function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  // Below 2^-14 the step between neighbours stays 2^-24.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const steps = size / 2 ** (exponent - 10);
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
  // A normal number has 1024 to 2047 steps; 2048 carries into the exponent by itself.
  const bits = exponent === -14 ? rounded : rounded + (exponent + 14) * 1024;
  return sign | Math.min(bits, 0x7c00);
}

const [source, target] = process.argv.slice(2);
const content = readPth(source) as Map<string, unknown>;
const model = new Map<string, HostTensor>();
for (const [name, tensor] of content.get('model') as Map<string, HostTensor>) {
  const half = Uint16Array.from(toFloat32(tensor), toHalf);
  model.set(name, { dtype: 'float16', shape: tensor.shape, bytes: () => new Uint8Array(half.buffer) });
}
await writePth(target, { model, iteration: content.get('iteration') as number });
