/** @file The precision bfloat16 on a whole detector: close to PyTorch's float32 numbers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.js';
import { tf } from '../../src/engine/tfjs.js';
import { SetCriterion } from '../../src/loss/criterion.js';
import { Detector } from '../../src/model/detector.js';
import { backward } from '../../src/nn/tape.js';
import { startCudaOnCpu } from '../cuda_on_cpu/start.js';
import { goldenJson, goldenTensors, relativeError } from '../golden/golden.js';
import { smallTraining, steps } from './training.js';

// All products and normalisations are in bfloat16, however small: large models have hardly any that are too small.
await startCudaOnCpu({ precision: 'bfloat16', bfloat16Sizes: { minMultiplyAdds: 0, minElements: 0 } });

const FORWARD = 2e-2;
const GRADIENTS = 5e-2;

describe('a detector in bfloat16', () => {
  const e2e = goldenJson('e2e.json');
  const io = goldenTensors('e2e_io.safetensors');
  const cfg = e2e.config as Config;
  const whwh: number[] = e2e.whwh.flat();
  const model = new Detector(cfg);
  let video: tf.Tensor;
  let sizes: tf.Tensor;

  beforeAll(() => {
    const weights = goldenTensors('e2e_weights.safetensors');
    for (const [name, parameter] of model.namedParameters()) parameter.set(weights.get(name)!.data);
    const { shape, data } = io.get('video.u8')!;
    video = tf.tidy(() => tf.tensor(data, shape).sub(128).div(64).transpose([0, 2, 3, 4, 1]));
    sizes = tf.tensor2d(whwh, [whwh.length / 4, 4]);
  });

  afterAll(() => {
    model.dispose();
    tf.dispose([video, sizes]);
  });

  it('has features, boxes and scores like those in float32, and not the same', () => {
    tf.tidy(() => {
      const { backbone, maps } = model.features(video);
      const found = [['out.backbone', backbone], ...maps.map((map, l) => [`out.mapped.${l}`, map])] as const;
      const errors = found.map(([name, x]) => {
        const first = (x as tf.Tensor).transpose([0, 4, 1, 2, 3]);
        return relativeError(first.dataSync(), io.get(name as string)!.data);
      });
      for (const error of errors) expect(error).toBeLessThan(FORWARD);
      expect(errors[0]).toBeGreaterThan(1e-4);
      for (const [s, { logits, actions, boxes }] of model.forward(video, sizes).entries())
        for (const [name, x] of Object.entries({ cls: logits, action: actions, boxes }))
          expect(
            relativeError(x.dataSync(), io.get(`out.stage${s}.${name}`)!.data),
            `stage ${s}, ${name}`,
          ).toBeLessThan(FORWARD);
    });
  });

  it('has losses and gradients like those in float32', () => {
    const grads = goldenTensors('e2e_grads.safetensors');
    const criterion = new SetCriterion(cfg.MODEL.STM);
    const targets = e2e.whwh.map((size: number[], b: number) => ({
      boxes: e2e.gt_boxes[b].flat(),
      labels: e2e.gt_labels[b].flat(),
      whwh: size,
    }));
    const names = Array.from(model.namedParameters(), ([name]) => name);
    const values = model.parameters().map(({ value }) => value);
    const { value, grads: found } = backward(
      () => criterion.losses(model.forward(video, sizes), targets).loss,
      values,
    );
    expect(relativeError(value.dataSync(), io.get('loss.total')!.data)).toBeLessThan(FORWARD);
    const expected = names.map((name) => (grads.get(name) ?? grads.get(`grad.${name}`))!.data);
    const actual = found.map((gradient) => gradient!.dataSync());
    const all = (parts: readonly ArrayLike<number>[]) => parts.flatMap((part) => Array.from(part));
    // Of all together: a small gradient is a difference of large ones.
    expect(relativeError(all(actual), all(expected))).toBeLessThan(GRADIENTS);
    tf.dispose([value, ...found.filter((gradient) => gradient !== null)]);
  });

  it('trains', async () => {
    const training = smallTraining();
    const losses = await steps(training, 6);
    training.dispose();
    expect(losses.flat().every(Number.isFinite)).toBe(true);
  });
});
