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
/** After two stages, each of which samples where the earlier one says. */
const DECODED = 3e-2;
const GRADIENTS = 5e-2;
/** Of the whole detector: rounding only the weights of this small model to bfloat16 changes its gradients by 0.29. */
const SENSITIVE_GRADIENTS = 0.3;

describe('a detector in bfloat16', () => {
  const e2e = goldenJson('e2e.json');
  const io = goldenTensors('e2e_io.safetensors');
  const cfg = e2e.config as Config;
  const whwh: number[] = e2e.whwh.flat();
  const weights = goldenTensors('e2e_weights.safetensors');
  let model: Detector;
  let video: tf.Tensor;
  let sizes: tf.Tensor;

  function loaded(): Detector {
    const made = new Detector(cfg);
    for (const [name, parameter] of made.namedParameters()) parameter.set(weights.get(name)!.data);
    return made;
  }

  function clipOf(): tf.Tensor {
    const { shape, data } = io.get('video.u8')!;
    return tf.tidy(() => tf.tensor(data, shape).sub(128).div(64).transpose([0, 2, 3, 4, 1]));
  }

  beforeAll(() => {
    model = loaded();
    video = clipOf();
    sizes = tf.tensor2d(whwh, [whwh.length / 4, 4]);
  });

  afterAll(() => {
    model.dispose();
    tf.dispose([video, sizes]);
  });

  it('has features, boxes and scores like those in float32, and not the same', () => {
    tf.tidy(() => {
      const {
        backbone: [backbone],
        maps,
      } = model.features(video);
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
          ).toBeLessThan(DECODED);
    });
  });

  it('has gradients of the backbone like those on the plain engine', async () => {
    const gradients = async (backend: string) => {
      await tf.setBackend(backend);
      const [other, clip] = [loaded(), clipOf()];
      const values = [...other.parameters()].map(({ value }) => value);
      const { value, grads } = backward(() => {
        const [backbone] = other.features(clip).backbone;
        const weights = Float32Array.from({ length: backbone.size }, (_, i) => Math.sin(i));
        return backbone.mul(tf.tensor(weights, backbone.shape)).sum();
      }, values);
      const found = grads.map((gradient) => gradient && Array.from(gradient.dataSync()));
      tf.dispose([value, clip, ...grads.filter((gradient) => gradient !== null)]);
      other.dispose();
      return found.flatMap((numbers) => numbers ?? []);
    };
    const expected = await gradients('cpu');
    const actual = await gradients('cuda');
    const error = relativeError(actual, expected);
    expect(error).toBeLessThan(GRADIENTS);
    expect(error).toBeGreaterThan(1e-4);
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
    expect(relativeError(all(actual), all(expected))).toBeLessThan(SENSITIVE_GRADIENTS);
    tf.dispose([value, ...found.filter((gradient) => gradient !== null)]);
  });

  it('trains', async () => {
    const training = smallTraining();
    const losses = await steps(training, 6);
    training.dispose();
    expect(losses.flat().every(Number.isFinite)).toBe(true);
  });
});
