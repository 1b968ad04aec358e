/** @file Training from the command line: what it writes, that it repeats itself, and how it ends. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import { type HostTensor, toFloat32 } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { start, stmixer, stmixerHere } from '../support/cli.js';
import { TEST_ENGINE } from '../support/engine.js';
import { readJsonLines } from '../support/json_lines.js';
import { modelTensors, only, renamed, strangeName } from '../support/model_tensors.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

let folder: string;

beforeAll(() => {
  folder = temporaryFolderOfFile();
});

const NO_EVALUATION = ['--skip-val-in-train', '--skip-final-test'];

function args(output: string, overrides = '', flags: string[] = [], evaluation = NO_EVALUATION): string[] {
  const words = `${MICRO} OUTPUT_DIR ${join(folder, output)} ${overrides}`.trim().split(/ +/);
  return [
    'train',
    '--config-file',
    'config_files/tiny.yaml',
    '--engine',
    TEST_ENGINE,
    ...flags,
    ...evaluation,
    ...words,
  ];
}

/** Fields of a line of metrics.jsonl, as the file has them. */
interface JsonLine {
  iteration: number;
  loss: number;
  losses: Record<string, number>;
  lr: number[];
  seconds: number;
  data_seconds: number;
  memory_bytes: number;
}

function metrics(output: string): JsonLine[] {
  return readJsonLines(join(folder, output, 'metrics.jsonl'));
}

const logOf = (output: string) =>
  readJsonLines<{ msg: string; date: string; err?: { message: string } }>(join(folder, output, 'log.jsonl'));

function checkpoint(output: string, name: string): Map<string, unknown> {
  return readPth(join(folder, output, `${name}.pth`)) as Map<string, unknown>;
}

function weights(output: string, name: string): Map<string, Float32Array> {
  const model = checkpoint(output, name).get('model') as Map<string, HostTensor>;
  return new Map(Array.from(model, ([key, tensor]) => [key, toFloat32(tensor)]));
}

/** All bits of the weights, in a form that is compared quickly. */
function bits(output: string, name: string): [name: string, base64: string][] {
  return Array.from(weights(output, name), ([key, { buffer, byteOffset, byteLength }]) => [
    key,
    Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
  ]);
}

describe('a whole run', () => {
  let stdout: string;

  beforeAll(async () => {
    const run = await stmixer(args('whole'));
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    stdout = run.stdout;
  }, 60_000);

  it('writes checkpoints, log, metrics and the configuration', () => {
    const files = ['model_0000002.pth', 'model_0000004.pth', 'model_final.pth', 'config.yaml', 'log.jsonl'];
    for (const file of files) expect(existsSync(join(folder, 'whole', file)), file).toBe(true);
    expect(readFileSync(join(folder, 'whole', 'last_checkpoint'), 'utf8')).toBe(
      join(folder, 'whole', 'model_final.pth'),
    );
    expect([...checkpoint('whole', 'model_final').keys()]).toEqual([
      'model',
      'optimizer',
      'scheduler',
      'iteration',
      'stmixer',
      'stmixer_model',
    ]);
    expect(checkpoint('whole', 'model_final').get('iteration')).toBe(4);
  });

  it('logs every term of the loss, the learning rates and the times', () => {
    const lines = metrics('whole');
    expect(lines.map((line) => line.iteration)).toEqual([1, 2, 3, 4]);
    for (const line of lines) {
      const terms = Object.values(line.losses).map(Number);
      expect(terms).toHaveLength(8);
      expect(line.loss).toBeCloseTo(terms.reduce((sum, term) => sum + term, 0) / terms.length, 4);
      expect(line.lr).toHaveLength(3);
      expect(line.seconds).toBeGreaterThan(line.data_seconds);
      expect(line.memory_bytes).toBeGreaterThan(1e7);
    }
    expect(stdout).toMatch(/ iter +loss +bce +ce +giou +bbox +lr +s\/it +data s +mem GiB +eta\n/);
    expect(stdout).toMatch(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d +4\/4( +[\d.e-]+){9} +0 s$/m);
    expect(logOf('whole').at(-1)!.date).toMatch(/^20\d\d-\d\d-\d\dT.*Z$/);
    expect(stdout).not.toContain('\x1b');
  });

  it('shows at once that it works: what is loaded, built and compiled', () => {
    const said = [
      'loading the program',
      'starting the engine',
      'building the model',
      'reading the training lists',
    ];
    const first = ['first iteration: loading', 'first iteration: compiling', ' 1/4 '];
    const places = [...said, ...first].map((text) => stdout.indexOf(text));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeLessThan(80);
  });

  it('prints the official lines, and logs the groups in full in log.jsonl', () => {
    expect(stdout).toContain("Skip weight decay list: {'pos_embed'}");
    const messages = logOf('whole').map(({ msg }) => msg);
    const groups = messages.find((message) => message.startsWith('Param groups = '));
    expect(JSON.parse(groups!.slice('Param groups = '.length))).toHaveProperty('decay_others');
  });

  it('reports how often an epoch passes over the data, and what to set for one data pass', () => {
    expect(stdout).toContain(
      'data: 30 clips, 1 per iteration: 30 iterations per data pass; an epoch of 2 iterations passes over the data 0.0667 times',
    );
    expect(stdout).toContain('set SOLVER.ITER_PER_EPOCH 30 for one data pass');
  });

  it('leaves no temporary file', () => {
    const known =
      /^(model_\w+\.pth|last_checkpoint|config\.yaml|log\.jsonl|metrics\.jsonl|environment\.json)$/;
    const found = readdirSync(join(folder, 'whole'));
    expect(found.filter((name) => !known.test(name))).toEqual([]);
  });

  it('gives the same with the same seed, and not with another', async () => {
    const again = await stmixerHere(args('again'));
    const other = await stmixerHere(args('other', '', ['--seed', '1']));
    expect([again.code, other.code]).toEqual([0, 0]);
    const losses = (output: string) => metrics(output).map((line) => line.losses);
    expect(losses('again')).toEqual(losses('whole'));
    expect(losses('other')).not.toEqual(losses('whole'));
    expect(bits('again', 'model_final')).toEqual(bits('whole', 'model_final'));
  });

  it('continues bit for bit from a checkpoint', async () => {
    const weight = join(folder, 'whole', 'model_0000002.pth');
    const run = await stmixerHere(args('continued', `MODEL.WEIGHT ${weight}`));
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('continuing after iteration 2');
    expect(metrics('continued').map((line) => line.iteration)).toEqual([3, 4]);
    expect(metrics('continued').at(-1)!.losses).toEqual(metrics('whole').at(-1)!.losses);
    expect(bits('continued', 'model_final')).toEqual(bits('whole', 'model_final'));
  });

  it('does nothing if last_checkpoint is the end of the run, and continues with more epochs', async () => {
    const finished = await stmixerHere(args('whole'));
    expect(finished.stdout).toContain('nothing left to train');
    expect(finished.code).toBe(0);
  });

  it('transfers weights without the iteration, and leaves out the head on request', async () => {
    const weight = join(folder, 'whole', 'model_final.pth');
    const flags = ['--transfer', '--no-head'];
    const run = await stmixerHere(args('transferred', `MODEL.WEIGHT ${weight} SOLVER.BASE_LR 1e-12`, flags));
    expect(run.code).toBe(0);
    expect(metrics('transferred')[0].iteration).toBe(1);
    expect(run.stdout).toMatch(/skipped, the head: \d+/);
    const [from, to] = [weights('whole', 'model_final'), weights('transferred', 'model_0000002')];
    const near = (name: string) => to.get(name)!.every((x, i) => Math.abs(x - from.get(name)![i]) < 1e-6);
    expect(near('backbone.blocks.0.attn.qkv.weight')).toBe(true);
    expect(near('stm_head.init_spatial_queries.weight')).toBe(false);
  });

  it('prefers last_checkpoint to MODEL.WEIGHT with --resume, and uses MODEL.WEIGHT if it is missing', async () => {
    const weight = join(folder, 'whole', 'model_0000002.pth');
    const resumed = await stmixerHere(
      args('whole', `MODEL.WEIGHT ${weight} SOLVER.MAX_EPOCH 3`, ['--resume', '--no-head']),
    );
    expect(resumed.stdout).toContain('continuing after iteration 4');
    expect(checkpoint('whole', 'model_final').get('iteration')).toBe(6);
    const fresh = await stmixerHere(
      args('fresh', `MODEL.WEIGHT ${weight} SOLVER.MAX_EPOCH 2`, ['--resume', '--transfer']),
    );
    expect(metrics('fresh')[0].iteration).toBe(1);
    expect(fresh.code).toBe(0);
  });

  it('ends after the step on SIGINT, saves, and continues', async () => {
    const { child, finished } = start(
      args('stopped', 'SOLVER.MAX_EPOCH 500 SOLVER.CHECKPOINT_PERIOD 500 DATALOADER.NUM_WORKERS 2'),
    );
    child.stdout!.on('data', (chunk) => {
      if (/ 1\/\d+ /.test(String(chunk))) child.kill('SIGINT');
    });
    const run = await finished;
    expect(run.code).toBe(130);
    expect(run.stdout).toMatch(/SIGINT: finishing this step/);
    expect(run.stdout).toMatch(
      /\nTo continue:\n {2}stmixer train --config-file config_files\/tiny\.yaml .*--resume .*\n$/,
    );
    const saved = /stopped after iteration (\d+)/.exec(run.stdout);
    const name = `model_${saved![1].padStart(7, '0')}`;
    expect(checkpoint('stopped', name).get('iteration')).toBe(Number(saved![1]));
  });
});

describe('a command that cannot work', () => {
  it.each([
    ['an unknown flag', ['train', '--config-file', 'config_files/tiny.yaml', '--nonsense'], 2, /nonsense/],
    ['no configuration', ['train'], 2, /--config-file/],
    ['a missing configuration', ['train', '--config-file', 'nowhere.yaml'], 2, /nowhere\.yaml/],
    [
      'a misspelt key',
      ['train', '--config-file', 'config_files/tiny.yaml', 'SOLVER.BASE_RL', '1'],
      2,
      /BASE_LR/,
    ],
    [
      'an unknown engine',
      ['train', '--config-file', 'config_files/tiny.yaml', '--engine', 'abacus'],
      2,
      /abacus/,
    ],
    ['a broken seed', ['train', '--config-file', 'config_files/tiny.yaml', '--seed', 'x'], 2, /whole number/],
    ['an unknown command', ['tarin'], 2, /train/],
  ])('ends with a readable error and exit code 2 for %s', async (_what, words, code, message) => {
    const run = await stmixerHere(words);
    expect(run.code).toBe(code);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toMatch(/\n {4}at /);
  });

  it('exits with 3 if data are missing', async () => {
    const run = await stmixerHere(args('no-data', `DATA.PATH_TO_DATA_DIR ${join(folder, 'nowhere')}`));
    expect(run.code).toBe(3);
    expect(run.stderr).toContain('nowhere');
    expect(run.stderr).not.toMatch(/\n {4}at /);
  });

  it('exits with 4 if the weight file is not one', async () => {
    const file = join(folder, 'broken.pth');
    writeFileSync(file, '<html>not found</html>');
    const run = await stmixerHere(args('no-weights', `MODEL.WEIGHT ${file}`));
    expect(run.code).toBe(4);
    expect(run.stderr).toContain('broken.pth');
  });

  it('exits with 4 if weights fit in part, and warns with --allow-partial', async () => {
    const words = MICRO.split(' ');
    const state = modelTensors(loadConfig('config_files/tiny.yaml', words).config);
    const file = join(folder, 'strange.pth');
    await writePth(file, { state_dict: renamed(only(state, /^backbone\./), strangeName) });
    const refused = await stmixerHere(args('in-part', `MODEL.WEIGHT ${file}`, ['--transfer']));
    expect(refused.code).toBe(4);
    const counts = /backbone: 11 of 17 tensors load\n +patch embedding: 0 of 2\n/;
    const renaming = /mlp\.lin1\.weight → mlp\.fc1\.weight/;
    for (const message of [counts, renaming, /--allow-partial/]) expect(refused.stderr).toMatch(message);
    expect(refused.stderr).not.toMatch(/\n {4}at /);
    expect(existsSync(join(folder, 'in-part', 'model_final.pth'))).toBe(false);

    const allowed = await stmixerHere(
      args('allowed', `MODEL.WEIGHT ${file}`, ['--transfer', '--no-head', '--allow-partial']),
    );
    expect(allowed).toMatchObject({ code: 0, stderr: '' });
    expect(allowed.stdout).toMatch(/WARN.*strange\.pth: its weights fit the model only in part\n/);
    for (const message of [counts, renaming]) expect(allowed.stdout).toMatch(message);
    expect(existsSync(join(folder, 'allowed', 'model_final.pth'))).toBe(true);
  });

  it('exits with 2 if the launcher of PyTorch has started several processes', async () => {
    const run = await stmixer(args('parallel'), { WORLD_SIZE: '4' });
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('WORLD_SIZE is 4');
    expect(existsSync(join(folder, 'parallel'))).toBe(false);
  });

  it('accepts the --local_rank of the launcher in test, and refuses the launcher of PyTorch there too', async () => {
    const words = ['test', '--config-file', 'nowhere.yaml', '--local_rank', '0'];
    expect((await stmixerHere(words)).stderr).toContain('nowhere.yaml');
    expect((await stmixerHere(words.map((word) => word.replace('_', '-')))).stderr).toContain('nowhere.yaml');
    const run = await stmixer(words, { WORLD_SIZE: '4' });
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('mpirun -np 4 stmixer test --config-file nowhere.yaml');
  });

  it('exits with 1 if a loss is not finite, and names the terms and the clips', async () => {
    const run = await stmixerHere(args('diverged', 'SOLVER.BASE_LR 1e30 SOLVER.WARMUP_ON False'));
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/not finite/);
    expect(logOf('diverged').at(-1)!.err!.message).toMatch(/not finite/);

    const batch = join(folder, 'diverged', 'nonfinite_0000002.pth');
    for (const file of [join(folder, 'diverged', 'model_0000001.pth'), batch])
      expect(run.stderr).toContain(file);
    const files = readdirSync(join(folder, 'diverged'));
    const replayed = await stmixerHere(args('diverged', '', ['--replay', batch]));
    expect(replayed.stderr).toBe('');
    expect(replayed.code).toBe(1);
    expect(replayed.stdout).toContain('model_0000001.pth');
    expect(replayed.stdout).toMatch(/loss_bce +NaN +NaN\n/);
    expect(replayed.stdout).toMatch(/The first output that is not finite: backbone\.\n$/);
    expect(readdirSync(join(folder, 'diverged'))).toEqual(files);
  });
});

describe('stmixer inspect', () => {
  const inspect = async (what: string, ...words: string[]) => {
    const run = await stmixerHere([
      'inspect',
      what,
      '--config-file',
      'config_files/my_VMAEv2-ViTB-16x4.yaml',
      '--json',
      ...words,
    ]);
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    return JSON.parse(run.stdout);
  };

  it('model lists every parameter of the full model', async () => {
    const { parameters, total } = await inspect('model');
    expect(parameters).toHaveLength(528);
    expect(parameters[0]).toEqual({ name: 'backbone.patch_embed.proj.weight', shape: [768, 3, 2, 16, 16] });
    expect(total).toBe(255_856_372);
  });

  it('param-groups lists the groups in the order of the optimizer, `rest` last', async () => {
    const { layer_scales, groups } = await inspect('param-groups', 'ViT.LAYER_DECAY', '0.75');
    expect(layer_scales).toHaveLength(14);
    expect(groups[0]).toEqual({
      name: 'layer_0_decay_others',
      weight_decay: 1e-4,
      lr_scale: expect.closeTo(0.75 ** 13, 12),
      params: ['backbone.patch_embed.proj.weight'],
    });
    expect(groups.at(-1)).toMatchObject({ name: 'rest', weight_decay: 1e-4, lr_scale: null });
  });

  it('param-groups warns about names that exempt nothing from weight decay', async () => {
    const command = ['inspect', 'param-groups', '--config-file', 'config_files/tiny.yaml', '--json'];
    const run = await stmixerHere([
      ...command,
      'ViT.NO_WEIGHT_DECAY',
      '["pos_embed","backbone.blocks.0.mlp.fc1.weight"]',
    ]);
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(
      /^warning: ViT\.NO_WEIGHT_DECAY: "backbone\..* write blocks\.0\.mlp\.fc1\.weight\n$/,
    );
    const mended = await stmixerHere([...command, 'ViT.NO_WEIGHT_DECAY', '["blocks.0.mlp.fc1.weight"]']);
    expect(mended).toMatchObject({ code: 0, stderr: '' });
  });

  it('lr-schedule prints the learning rates at given iterations', async () => {
    const { iters, lr } = await inspect('lr-schedule', '--iters', '0,46096,115240,184384');
    expect(iters).toEqual([0, 46096, 115240, 184384]);
    expect(lr.map((rates: number[]) => rates[0])).toEqual(
      [1e-6, 1e-5, 1e-6, 1e-7].map((rate) => expect.closeTo(rate, 15)),
    );
    expect(lr[0]).toHaveLength(3);
  });
});
