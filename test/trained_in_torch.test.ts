/** @file What a training run saves, continued by PyTorch's own optimizer and scheduler. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpointer } from '../src/checkpoint/checkpointer.js';
import type { Config } from '../src/config/index.js';
import { SetCriterion } from '../src/loss/criterion.js';
import { Detector } from '../src/model/detector.js';
import { initializeParameters } from '../src/nn/module.js';
import { makeLrScheduler, makeOptimizer } from '../src/solver/index.js';
import { checkpointParts } from '../src/training/restore.js';
import { expectClose, goldenExists, goldenJson, goldenTensors, WEIGHTS } from './golden.js';
import { runPython, torchTitle, torchVersion } from './torch.js';

/** A gradient that differs from parameter to parameter and from step to step, the same in both languages. */
const gradient = (index: number, step: number) => 0.01 * ((index % 7) - 3) + 0.001 * step;

/** Continues the checkpoint with torch: three steps; prints the weights' sums and the rates of each step. */
const CONTINUE = `
import json, torch
from bisect import bisect_right
from torch.optim.lr_scheduler import LRScheduler

class WarmupMultiStepLR(LRScheduler):
    def __init__(self, optimizer):
        super().__init__(optimizer)
    def get_lr(self):
        factor = 1
        if getattr(self, 'warmup_iters', 0) > self.last_epoch:
            alpha = self.last_epoch / self.warmup_iters
            factor = self.warmup_factor * (1 - alpha) + alpha
        drops = bisect_right(getattr(self, 'milestones', []), self.last_epoch)
        return [base * factor * getattr(self, 'gamma', 1) ** drops for base in self.base_lrs]

saved = torch.load('model_0000003.pth', weights_only=True)
parameters = {name: torch.nn.Parameter(value) for name, value in saved['model'].items() if not name.endswith('empty_weight')}
names = list(parameters)
groups = [{'params': [parameters[name] for name in group['param_names']]} for group in saved['optimizer']['param_groups']]
optimizer = torch.optim.AdamW(groups, lr=1)
optimizer.load_state_dict(saved['optimizer'])
scheduler = WarmupMultiStepLR(optimizer)
scheduler.load_state_dict(saved['scheduler'])
optimizer.load_state_dict(saved['optimizer'])
rates = []
for step in range(3, 6):
    for index, name in enumerate(names):
        parameters[name].grad = torch.full_like(parameters[name], 0.01 * (index % 7 - 3) + 0.001 * step)
    rates.append([group['lr'] for group in optimizer.param_groups])
    optimizer.step()
    scheduler.step()
print(json.dumps({
    'shapes': [[name, list(value.shape)] for name, value in saved['model'].items()],
    'iteration': saved['iteration'],
    'rates': rates,
    'weights': {name: value.flatten().tolist() for name, value in parameters.items()},
}))`;

describe.skipIf(!torchVersion?.startsWith('2') || !goldenExists('e2e.json'))(
  `a checkpoint of a run, ${torchTitle}`,
  () => {
    let folder: string;
    let result: {
      shapes: [string, number[]][];
      iteration: number;
      rates: number[][];
      weights: Record<string, number[]>;
    };
    const rates: number[][] = [];
    const weights = new Map<string, Float32Array>();

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'stmixer-continued-'));
      const cfg = goldenJson('e2e.json').config as Config;
      cfg.SOLVER.APPLY_LR_SCALE = true;
      const model = new Detector(cfg);
      initializeParameters(model, 0);
      const optimizer = makeOptimizer(cfg, model);
      const state = {
        model,
        criterion: new SetCriterion(cfg.MODEL.STM),
        optimizer,
        scheduler: makeLrScheduler(cfg, optimizer),
      };
      for (let step = 0; step < 6; step++) {
        if (step === 3) await new Checkpointer(folder).save('model_0000003', checkpointParts(state, step));
        for (const [index, parameter] of model.parameters().entries()) {
          parameter.grad = tf.fill([...parameter.shape], gradient(index, step));
        }
        if (step >= 3) rates.push(optimizer.paramGroups.map((group) => group.lr));
        optimizer.step();
        optimizer.zeroGrad();
        state.scheduler.step();
      }
      for (const [name, { value }] of model.namedParameters())
        weights.set(name, value.dataSync() as Float32Array);
      result = runPython(CONTINUE, folder) as typeof result;
    }, 120_000);

    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('has the keys and shapes of the original state dict', () => {
      const expected = Array.from(goldenTensors('e2e_weights.safetensors'), ([name, { shape }]) => [
        name,
        shape,
      ]);
      expect(result.shapes.toSorted()).toEqual(expected.toSorted());
      expect(result.shapes.at(-1)![0]).toBe('stm_head.criterion.empty_weight');
      expect(result.iteration).toBe(3);
    });

    it('continues with the same rates', () => {
      for (const [step, expected] of rates.entries()) {
        expect(result.rates[step]).toEqual(expected.map((rate) => expect.closeTo(rate, 12)));
      }
    });

    it('continues to the same weights', () => {
      for (const [name, expected] of weights) expectClose(result.weights[name], expected, WEIGHTS, name);
    });
  },
);
