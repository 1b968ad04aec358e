/** @file Saves checkpoints one after the other, as a run does, until it is killed: `saving_process.ts FOLDER FIRST`. */
import { Checkpointer, checkpointName } from '../../src/checkpoint/checkpointer.js';
import { CheckpointSaver } from '../../src/checkpoint/saver.js';
import { float32Tensor } from '../../src/formats/host_tensor.js';
import type { Logger } from '../../src/run/log.js';

const [folder, first] = process.argv.slice(2);
const quiet = { info() {}, warn() {}, debug() {}, error: console.error } as unknown as Logger;
const checkpointer = new Checkpointer(folder);
checkpointer.removeLeftovers();
// Without a thread, whose start would take most of the time: what is killed is to be writing.
const availableMemory = () => 0;
const saver = new CheckpointSaver(checkpointer, { retrySeconds: 5, keep: 2, log: quiet, availableMemory });
const data = new Float32Array(4_000_000);
for (let iteration = Number(first); ; iteration++) {
  data.fill(iteration);
  const model = new Map([['w', float32Tensor([data.length], data)]]);
  await saver.save(checkpointName(iteration), { model, optimizer: null, scheduler: null, iteration });
  await saver.settle();
  process.stdout.write(`${iteration}\n`);
}
