/** @file Saves checkpoints one after the other, as a run does, until it is killed: `saving_process.ts FOLDER FIRST`. */
import { checkpointName } from '../../src/checkpoint/checkpoint_names.js';
import { Checkpointer } from '../../src/checkpoint/checkpointer.js';

import { float32Tensor } from '../../src/formats/host_tensor.js';

const [folder, first] = process.argv.slice(2);
const quiet = { info() {}, warn() {}, debug() {}, error: console.error };
// Without a thread, whose start would take most of the time: what is killed is to be writing.
const freeMemory = () => 0;
const checkpointer = new Checkpointer(folder, { retrySeconds: 5, keep: 2, log: quiet, freeMemory });
checkpointer.removeLeftovers();
const data = new Float32Array(4_000_000);
for (let iteration = Number(first); ; iteration++) {
  data.fill(iteration);
  const model = new Map([['w', float32Tensor([data.length], data)]]);
  await checkpointer.save(checkpointName(iteration), { model, optimizer: null, scheduler: null, iteration });
  await checkpointer.settle();
  process.stdout.write(`${iteration}\n`);
}
