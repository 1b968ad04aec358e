/** @file The official configurations with ResNet backbones, on tiny clips of the sample: train, resume, test, detect. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { isHostTensor } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { stmixerHere } from '../support/cli.js';
import { TEST_ENGINE } from '../support/engine.js';
import { readJsonLines } from '../support/json_lines.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO, TINY_SLOWFAST, words } from '../support/tiny_config.js';

let folder: string;

beforeAll(() => {
  folder = temporaryFolderOfFile();
});

/** The clips of the sample, and a decoder of a few channels. The backbone stays as it is. */
const ON_SAMPLE =
  'DATA.PATH_TO_DATA_DIR sample DATA.TRAIN_MIN_SCALES [32] DATA.TEST_MIN_SCALES [32] DATA.SAMPLING_RATE 1 ' +
  "AVA.ANNOTATION_DIR annotations/ AVA.TRAIN_GT_BOX_LISTS ['train.csv'] AVA.TEST_GT_BOX_LISTS ['val.csv'] " +
  'AVA.LABEL_MAP_FILE label_map.pbtxt AVA.EXCLUSION_FILE val_excluded_timestamps.csv AVA.FPS 10 DATALOADER.NUM_WORKERS 0 ' +
  'MODEL.STM.NUM_QUERIES 6 MODEL.STM.HIDDEN_DIM 16 MODEL.STM.NUM_STAGES 1 MODEL.STM.DIM_FEEDFORWARD 16 ' +
  "MODEL.STM.SPATIAL_POINTS 2 MODEL.STM.NUM_HEADS 2 MODEL.STM.N_GROUPS 2 MODEL.STM.OUT_MULTIPLIER 1 MODEL.WEIGHT '' " +
  'SOLVER.ITER_PER_EPOCH 2 SOLVER.MAX_EPOCH 1 SOLVER.CHECKPOINT_PERIOD 2 SOLVER.VIDEOS_PER_BATCH 1 TEST.VIDEOS_PER_BATCH 4';

const NO_EVALUATION = ['--skip-val-in-train', '--skip-final-test'];

async function stmixer(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, ...output } = await stmixerHere(args);
  expect(code, output.stderr + output.stdout).toBe(0);
  return output;
}

describe.each([
  ['PySlowonly-R50-K400-4x16', 0],
  ['PySlowfast-R50-K400-8x8', 2],
  ['PySlowfast-R101-NL-K600-8x8', 2],
])('%s.yaml', (name, batches) => {
  it('trains', async () => {
    const output = join(folder, name);
    const settings = `${ON_SAMPLE} OUTPUT_DIR ${output}`.split(' ');
    const config = ['--config-file', `config_files/${name}.yaml`, '--engine', TEST_ENGINE];
    await stmixer('train', ...config, ...NO_EVALUATION, ...settings);
    const losses = readJsonLines<{ loss: number }>(join(output, 'metrics.jsonl')).map(({ loss }) => loss);
    expect(losses).toHaveLength(2);
    expect(losses.every(Number.isFinite)).toBe(true);
    const { model } = Object.fromEntries(readPth(join(output, 'model_final.pth')) as Map<string, unknown>);
    const counter = (model as Map<string, unknown>).get(
      'backbone.s5.pathway0_res2.branch2.c_bn.num_batches_tracked',
    );
    if (!isHostTensor(counter)) return expect.fail('no counter of batches');
    expect([counter.dtype, counter.shape, Number(Buffer.from(counter.bytes()).readBigInt64LE())]).toEqual([
      'int64',
      [],
      batches,
    ]);
  });
});

describe('a run with two pathways', () => {
  const settings = [
    ...`${MICRO} SOLVER.ITER_PER_EPOCH 2 SOLVER.MAX_EPOCH 2 SOLVER.EVAL_AFTER 0 SOLVER.BASE_LR 1e-3`.split(
      ' ',
    ),
    ...words(TINY_SLOWFAST),
  ];
  const train = (output: string, flags: string[] = [], more: string[] = []) =>
    stmixer(
      ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', TEST_ENGINE, ...flags],
      ...[...settings, 'OUTPUT_DIR', join(folder, output), ...more],
    );
  const bytesOf = (output: string, name: string) => readFileSync(join(folder, output, `${name}.pth`));

  it('continues bit for bit, with its running statistics', async () => {
    await train('whole');
    await train('stopped', NO_EVALUATION, ['SOLVER.MAX_EPOCH', '1']);
    await train('stopped', ['--resume']);
    expect(bytesOf('stopped', 'model_0000004').equals(bytesOf('whole', 'model_0000004'))).toBe(true);
  });

  it('is tested and used for detection, in which running statistics count', async () => {
    const weights = join(folder, 'whole', 'model_final.pth');
    const config = join(folder, 'whole', 'config.yaml');
    const { stdout } = await stmixer(
      'test',
      '--config-file',
      config,
      '--engine',
      TEST_ENGINE,
      'MODEL.WEIGHT',
      weights,
    );
    expect(stdout).toMatch(/mAP/);
    const out = join(folder, 'found');
    const input = ['--input', 'sample/frames/vtest_val', '--no-video'];
    await stmixer('detect', '--weights', weights, ...input, '--out', out, '--engine', TEST_ENGINE);
    expect(existsSync(out)).toBe(true);
  });

  it('shows its clips and its parameters', async () => {
    const config = ['--config-file', 'config_files/tiny.yaml', ...settings];
    const { stdout } = await stmixer('inspect', 'param-groups', ...config);
    expect(stdout).toMatch(/backbone_bn +\d+ /);
    const shown = await stmixer(
      'data',
      'show',
      ...config.slice(0, 2),
      '--out',
      join(folder, 'clips'),
      ...settings,
    );
    expect(shown.stderr + shown.stdout).not.toBe('');
  });
});
