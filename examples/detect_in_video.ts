/**
 * @file Finds people and their actions in a video, a folder of frames or an image, and prints the surest detections.
 *
 *   npx tsx --import ./scripts/typescript_threads.mjs examples/detect_in_video.ts [INPUT] [OUTPUT_FOLDER]
 */
import { detect, loadConfig } from 'stmixer';

const [input = 'sample/frames/vtest_val', out = 'output/example_detection'] = process.argv.slice(2);
const { config } = loadConfig('config_files/sample.yaml');

const { results, people } = await detect(config, {
  input,
  out,
  weights: 'checkpoints/sample.pth',
  step: 5,
  actionThreshold: 0.3,
});
console.log(
  `${people} people in ${results.length} key frames; drawn frames and detections.json are in ${out}`,
);
for (const { frame, people: found } of results) {
  for (const { score, actions } of found) {
    const names = actions.map(({ name, score: sure }) => `${name} ${sure.toFixed(2)}`);
    console.log(`frame ${frame}: person ${score.toFixed(2)}: ${names.join(', ')}`);
  }
}
