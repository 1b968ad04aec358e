/** @file Tests of what weight files say of their model, in every file that we write. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { saveCheckpoint } from '../../test/support/save_checkpoint.js';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { configOfSettings, differingSettings } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { firstOpaque } from '../formats/pickle/walk_values.js';
import { readPth } from '../formats/pth/pth_reader.js';
import { writePth } from '../formats/pth/pth_writer.js';
import type { PyDict } from '../formats/python/values.js';
import { Detector } from '../model/detector.js';
import { initializeParameters } from '../nn/module.js';
import { TrainingState } from '../training/training_state.js';
import { convertWeightFile } from './convert.js';
import { infoOfModel } from './info_of_model.js';
import { MODEL_INFO, readModelInfo } from './model_info.js';
import { contradiction, loadModelWeights, saveModelWeights } from './model_weights.js';

const NAMES = new Map([
  [1, 'bend/bow (at the waist)'],
  [3, 'крутить'],
]);

let folder: string;
let config: ReturnType<typeof tinyConfig>;
beforeAll(() => {
  folder = temporaryFolderOfFile();
  mkdirSync(join(folder, 'annotations'));
  const items = Array.from(NAMES, ([id, name]) => `item { name: "${name}" id: ${id} }\n`);
  writeFileSync(join(folder, 'annotations', 'map.pbtxt'), items.join(''));
  config = tinyConfig({
    'DATA.PATH_TO_DATA_DIR': folder,
    'AVA.ANNOTATION_DIR': 'annotations',
    'AVA.LABEL_MAP_FILE': 'map.pbtxt',
    'AVA.FPS': 12,
    'DATA.MEAN': [0.5, 1, 0.25],
  });
});
const at = (name: string) => join(folder, name);

describe('what a weight file says about its model', () => {
  test('is in checkpoints, in library files and in converted ones of both formats', async () => {
    const state = TrainingState.build(config);
    initializeParameters(state.model, 0);
    const checkpoint = await saveCheckpoint(folder, 'model_final', state.checkpoint());
    await saveModelWeights(state.model, at('library.pth'));
    const convert = { dtype: 'float16', weightsOnly: true } as const;
    await convertWeightFile(checkpoint, at('converted.pth'), convert);
    await convertWeightFile(checkpoint, at('converted.safetensors'), convert);
    await convertWeightFile(at('converted.safetensors'), at('back.pth'), convert);
    for (const name of [
      'library.pth',
      'converted.pth',
      'converted.safetensors',
      'back.pth',
      'model_final.pth',
    ]) {
      const info = readModelInfo(at(name));
      expect(info, name).toEqual(infoOfModel(config));
      expect(info?.classNames, name).toEqual(NAMES);
    }
    expect(loadModelWeights(new Detector(config), checkpoint).info?.classNames).toEqual(NAMES);
  });

  test('stands under a key of its own, in values that PyTorch loads with weights_only=True', async () => {
    await saveModelWeights(initialized(), at('plain.pth'));
    const content = readPth(at('plain.pth')) as PyDict;
    expect([...content.keys()]).toEqual(['model', MODEL_INFO]);
    expect(firstOpaque(content)).toBeNull();
  });

  test('has no names without a label map, and with one that cannot be read', () => {
    expect(infoOfModel(tinyConfig()).classNames).toBeNull();
    writeFileSync(join(folder, 'annotations', 'broken.pbtxt'), 'item {');
    const broken = { ...config, AVA: { ...config.AVA, LABEL_MAP_FILE: 'broken.pbtxt' } };
    expect(infoOfModel(broken).classNames).toBeNull();
  });

  test('is null in files of others, and an error if it makes no sense', async () => {
    await writePth(at('official.pth'), { model: new Map(), stmixer: 1 });
    expect(readModelInfo(at('official.pth'))).toBeNull();
    await writePth(at('odd.pth'), { model: new Map(), [MODEL_INFO]: [1] });
    expect(() => readModelInfo(at('odd.pth'))).toThrow(
      /odd\.pth: its description of the model \(stmixer_model\) cannot be read: .*expected a dictionary, found a list/,
    );
  });
});

describe('the configuration of a weight file', () => {
  test('builds the same model and prepares clips in the same way, with overrides on top', () => {
    const { settings } = infoOfModel(config);
    const { config: found } = configOfSettings(settings, 'w.pth', ['MODEL.STM.PERSON_THRESHOLD', '0.25']);
    expect(found.ViT.EMBED_DIM).toBe(8);
    expect(found.AVA.FPS).toBe(12);
    expect(found.DATA.MEAN).toEqual([0.5, 1, 0.25]);
    expect(found.MODEL.STM).toEqual({ ...config.MODEL.STM, PERSON_THRESHOLD: 0.25 });
    expect(differingSettings(settings, found)).toEqual([]);
  });

  test('leaves out settings of newer versions, and names the file if a setting is wrong', () => {
    const settings = new Map(infoOfModel(config).settings).set('ViT.NEW', 1);
    expect(configOfSettings(settings, 'w.pth').config.ViT.DEPTH).toBe(2);
    const wrong = () => configOfSettings(settings.set('ViT.DEPTH', 'many'), 'w.pth');
    expect(wrong).toThrow(ConfigError);
    expect(wrong).toThrow(/w\.pth: ViT\.DEPTH: expected int ≥ 1, found 'many'/);
  });

  test('is compared with another configuration, setting by setting', () => {
    const info = infoOfModel(config);
    const other = tinyConfig({ 'ViT.NUM_HEADS': 4, 'AVA.FPS': 12, 'DATA.MEAN': [0.5, 1, 0.25] });
    expect(contradiction('w.pth', info, other)).toBe(
      'the configuration contradicts w.pth, whose weights were trained with ViT.NUM_HEADS 2 (here 4)',
    );
    expect(contradiction('w.pth', info, config)).toBeNull();
    expect(contradiction('w.pth', null, other)).toBeNull();
  });
});

function initialized(): Detector {
  const model = new Detector(config);
  initializeParameters(model, 0);
  return model;
}
