/** @file Examples at the end of each command's help. */
import type { Command } from 'commander';

/** What an example does, and its command line without `stmixer`. */
type Example = readonly [does: string, words: string];

const YOURS = '--config-file my.yaml';

/** Examples by the names of a command and its subcommand. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  train: [
    ['train with a configuration', `train ${YOURS}`],
    [
      'start from weights of another model, without its head',
      `train ${YOURS} --transfer --no-head MODEL.WEIGHT w.pth`,
    ],
    ['change settings', `train ${YOURS} SOLVER.BASE_LR 2e-5 OUTPUT_DIR output/low_lr`],
    ['continue after an interruption', `train ${YOURS} --resume`],
  ],
  test: [
    ['evaluate the best checkpoint of a run', 'test --config-file output/run/config.yaml'],
    [
      'evaluate a weight file, and fail in CI below a mAP of 0.3',
      `test ${YOURS} --min-map 0.3 MODEL.WEIGHT w.pth`,
    ],
    ['write the results to a file', `test ${YOURS} --json > results.json`],
  ],
  evaluate: [
    [
      'compute the mAP of detections',
      'evaluate --ground-truth val.csv --predictions detections.csv --label-map actions.pbtxt',
    ],
    [
      'fail in CI below a mAP of 0.3',
      'evaluate --ground-truth val.csv --predictions detections.csv --label-map actions.pbtxt --min-map 0.3',
    ],
  ],
  detect: [
    [
      'detect people and actions in a video, with the best weights of a run',
      'detect --weights output/run --input video.mp4',
    ],
    [
      'also show less certain people, and a key frame every two seconds',
      'detect --weights model_best.pth --input video.mp4 --out detections --threshold 0.3 --step 2',
    ],
  ],
  data: [
    ['extract the frames of your own videos', 'data prepare --videos videos --out data --start 0'],
    ['look for errors in a data set', `data check ${YOURS}`],
  ],
  'data prepare': [
    ['extract the frames of your own videos', 'data prepare --videos videos --out data --start 0'],
    ['extract the frames of AVA, four videos at a time', 'data prepare --videos ava --out data --jobs 4'],
  ],
  'data list': [
    ['list frames that were extracted before', 'data list my_frames --out data --fps 25'],
    ['keep two videos for evaluation', 'data list my_frames --out data --val-videos clip_3,clip_7'],
  ],
  'data import': [
    [
      "import CVAT's tracks, with a key frame every second",
      'data import annotations.xml --videos videos --out data --step 1',
    ],
    [
      'keep a fifth of the videos for evaluation',
      'data import via.json --videos videos --out data --val-fraction 0.2',
    ],
    [
      'say where the actions are, and how frames were numbered',
      'data import coco.json --out data --actions-from pose --fps 25 --first-frame 0',
    ],
  ],
  'data check': [
    ['look for errors in a data set', `data check ${YOURS}`],
    [
      'decode every frame, and write the findings as JSON',
      `data check ${YOURS} --deep --json > findings.json`,
    ],
  ],
  'data show': [
    ['draw eight clips with their boxes', `data show ${YOURS} --out clips`],
    [
      'draw two chosen clips as the model sees them',
      `data show ${YOURS} --out clips --clips video1:902,video2:950 --augmented`,
    ],
  ],
  inspect: [
    ['show every setting and its origin', `inspect config ${YOURS}`],
    ['show what a weight file holds', 'inspect checkpoint model_best.pth'],
  ],
  'inspect config': [['show every setting and its origin', `inspect config ${YOURS} SOLVER.BASE_LR 2e-5`]],
  'inspect model': [['show the parameters', `inspect model ${YOURS}`]],
  'inspect param-groups': [
    ['show weight decay and layer decay', `inspect param-groups ${YOURS} ViT.LAYER_DECAY 0.75`],
  ],
  'inspect lr-schedule': [
    ['show the learning rate at two iterations', `inspect lr-schedule ${YOURS} --iters 0,500`],
  ],
  'inspect checkpoint': [
    ['show what a weight file holds', 'inspect checkpoint model_best.pth'],
    ['show the best checkpoint of a run', 'inspect checkpoint output/run'],
  ],
  convert: [
    ['convert a checkpoint to safetensors', 'convert model_best.pth weights.safetensors'],
    [
      'keep only the weights, in half precision',
      'convert output/run weights.pth --weights-only --dtype float16',
    ],
  ],
  report: [
    ['write the report of a run', 'report output/run'],
    ['watch a run in the browser', 'report output/run --watch --port 8000'],
  ],
  engine: [
    ['see which engines can run here', 'engine list'],
    ['check the engine that a training would use', 'engine check'],
  ],
  'engine list': [['see which engines can run here, as JSON', 'engine list --json']],
  'engine check': [
    ['check the engine that a training would use', 'engine check'],
    [
      'check the engine on the processor, and write the results as JSON',
      'engine check --engine onnx --device cpu --json > check.json',
    ],
  ],
  doctor: [['describe this machine for a bug report', 'doctor > machine.txt']],
  completion: [
    ['complete in bash from now on', 'completion bash >> ~/.bashrc'],
    ['complete in zsh, from a folder in $fpath', 'completion zsh > ~/.zfunc/_stmixer'],
    ['complete in fish', 'completion fish > ~/.config/fish/completions/stmixer.fish'],
  ],
};

/** Adds the examples to the help of a command and its subcommands. */
export function addExamples(command: Command, parents: readonly string[] = []): void {
  const path = [...parents, command.name()];
  const lines = (EXAMPLES[path.join(' ')] ?? []).map(([does, words]) => `  # ${does}\n  stmixer ${words}`);
  if (lines.length > 0) command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
  for (const child of command.commands) addExamples(child, path);
}
