/** @file Weights of a detector with two pathways and batch statistics, to PyTorch and back. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModelWeights, saveModelWeights } from '../../src/checkpoint/model_weights.js';
import { tf } from '../../src/engine/tfjs.js';
import { type HostTensor, toFloat32 } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { Detector } from '../../src/model/detector.js';
import { initializeParameters, StateBuffer } from '../../src/nn/module.js';
import { Rng } from '../../src/util/random.js';
import { relativeError } from '../golden/golden.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { TINY_SLOWFAST, tinyConfig } from '../support/tiny_config.js';
import { runPythonFile, torchTitle, torchVersion } from '../support/torch.js';

const SHAPE = [2, 3, 4, 48, 40];

describe.skipIf(!torchVersion)(torchTitle, () => {
  it('loads our checkpoint, has our features, and its trained weights have the same features here', async () => {
    const folder = temporaryFolderOfFile();
    const model = new Detector(tinyConfig(TINY_SLOWFAST));
    initializeParameters(model, 3);
    const rng = new Rng(6);
    for (const [name, entry] of model.namedState())
      if (entry instanceof StateBuffer && entry.dtype === 'float32')
        entry.update(() => (name.endsWith('running_var') ? 0.5 + rng.uniform() : 0.2 * rng.normal()));
    await saveModelWeights(model, join(folder, 'ours.pth'));
    const video = Float32Array.from({ length: SHAPE.reduce((a, b) => a * b) }, () => rng.normal());
    const tensor: HostTensor = { dtype: 'float32', shape: SHAPE, bytes: () => new Uint8Array(video.buffer) };
    await writePth(join(folder, 'video.pth'), { video: tensor });
    runPythonFile('interchange/small_slowfast.py', [folder], folder);

    const theirs = readPth(join(folder, 'theirs.pth')) as Map<string, Map<string, HostTensor>>;
    const compare = (when: string) => {
      model.train(false);
      tf.tidy(() => {
        const clip = tf.tensor(video, SHAPE).transpose([0, 2, 3, 4, 1]);
        for (const [k, map] of model.features(clip).maps.entries()) {
          const expected = toFloat32(theirs.get('features')!.get(`${when}${k}`)!);
          const found = map.transpose([0, 4, 1, 2, 3]).dataSync();
          expect(relativeError(found, expected), `${when} training, level ${k}`).toBeLessThan(1e-5);
        }
      });
    };
    compare('before');
    loadModelWeights(model, join(folder, 'theirs.pth'));
    compare('after');
    for (const [name, entry] of model.namedState())
      if (entry instanceof StateBuffer && entry.dtype === 'int64') expect(entry.data[0], name).toBe(1);
    model.dispose();
  });
});
