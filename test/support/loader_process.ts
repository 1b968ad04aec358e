/** @file A process of its own that opens a loader on the folder argv[2] and ends in the way argv[3] says. */
import { configFromOverrides } from '../../src/config/index.js';
import { createTrainLoader } from '../../src/data/loading/loader.js';

const [, , folder, way] = process.argv;
const config = configFromOverrides({
  'DATA.PATH_TO_DATA_DIR': folder,
  'DATA.SAMPLING_RATE': 1,
  'AVA.FPS': 1,
  'DATALOADER.NUM_WORKERS': 2,
  'SOLVER.VIDEOS_PER_BATCH': 2,
});
const loader = createTrainLoader(config, { seed: 0 });
if (way !== 'unused') await loader.next();
// Both threads are busy with what is read ahead.
if (way === 'exits') process.exit(5);
if (way === 'awaits') {
  for (let i = 0; i < 5; i++) await loader.next();
  console.log('awaited');
}
if (way === 'closes') {
  const pending = loader.next();
  await loader.close();
  console.log('closed', (await pending).done);
}
