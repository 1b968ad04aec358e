/**
 * @file Trains the tiny model with all processes that mpirun or srun starts, or alone.
 *
 *   mpirun -np 2 node --import tsx --import ./scripts/typescript_threads.mjs examples/train_by_processes.ts [OUTPUT_DIR]
 */
import { followTraining, joinProcesses, loadConfig, train } from 'stmixer';

const [outputDir = 'output/example_processes'] = process.argv.slice(2);
const processes = await joinProcesses();
try {
  if (processes.rank === 0) {
    // This process decides: it has the configuration, and writes all files.
    const loaded = loadConfig('config_files/tiny.yaml', ['OUTPUT_DIR', outputDir]);
    const { iteration, lastLoss } = await train(loaded, { overwrite: true, skipFinalTest: true, processes });
    console.log(`${iteration} iterations, processes: ${processes.size}, loss ${lastLoss}`);
  } else {
    await followTraining({ processes });
  }
  await processes.close();
} catch (error) {
  // The other processes wait for this one, and end when they hear of its error.
  await processes.announceError(error);
  throw error;
}
