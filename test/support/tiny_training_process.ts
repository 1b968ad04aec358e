/** @file Trains the tiny model in a process of its own, and prints what came out. */
import { selectEngine } from '../../src/engine/index.js';
import { RECORDING_ENGINE, TEST_DEVICE } from './engine.js';
import { TinyTraining, train } from './tiny_training.js';

await selectEngine({ engine: RECORDING_ENGINE, device: TEST_DEVICE, strict: true });
const training = new TinyTraining();
const losses = await train(training, Number(process.argv[2]));
console.log(JSON.stringify({ losses, fingerprint: training.fingerprint() }));
