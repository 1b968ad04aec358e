/** @file Schema of SOLVER (iterations, optimizer, learning rates, how often to save and evaluate) and ENGINE. */
import { OPTIMIZERS, SCHEDULERS, WARMUP_METHODS } from './choices.js';
import {
  AT_LEAST_ONE,
  bool,
  float,
  int,
  item,
  list,
  NOT_NEGATIVE,
  POSITIVE,
  RATE,
  section,
  word,
} from './fields.js';

export const SOLVER = section('Training: length, optimizer, learning rate.', {
  ITER_PER_EPOCH: int(11524, 'Iterations that count as one epoch.', AT_LEAST_ONE),
  MAX_EPOCH: int(12, 'Epochs of the whole training.', AT_LEAST_ONE),
  BASE_LR: float(2e-4, 'Learning rate before schedule and layer decay.', POSITIVE),
  BETAS: list(item.float(RATE), [0.9, 0.999], 'Moment coefficients of adam and adamw.', {
    minItems: 2,
    maxItems: 2,
  }),
  WEIGHT_DECAY: float(1e-4, 'Weight decay of everything but the backbone.', NOT_NEGATIVE),
  WEIGHT_DECAY_BN: float(0, 'Weight decay of batch normalisation.', {
    ...NOT_NEGATIVE,
    noEffect: 'only backbones with batch normalisation use it, and none can be built so far',
  }),
  SCHEDULER: word(
    SCHEDULERS,
    'warmup_multi_step',
    'Schedule of the learning rate: steps down, or half a cosine down to zero.',
  ),
  GAMMA: float(0.1, 'Factor on the learning rate at each of STEPS.', POSITIVE),
  STEPS: list(
    item.float(NOT_NEGATIVE),
    [5, 8],
    'Epochs at which the learning rate steps down, in rising order.',
  ),
  WARMUP_ON: bool(true, 'Start with a lower learning rate.'),
  WARMUP_FACTOR: float(0.1, 'Factor on the learning rate at the start of the warm-up.', NOT_NEGATIVE),
  WARMUP_EPOCH: int(2, 'Epochs of the warm-up.', NOT_NEGATIVE),
  WARMUP_METHOD: word(WARMUP_METHODS, 'linear', 'Rise in a line, or stay at WARMUP_FACTOR to the end of it.'),
  CHECKPOINT_PERIOD: int(1, 'Epochs between checkpoints.', AT_LEAST_ONE),
  CHECKPOINT_MINUTES: float(
    30,
    'Minutes after which model_latest.pth is saved, between the checkpoints of the period; 0: never (not in the official ' +
      'code).',
    NOT_NEGATIVE,
  ),
  CHECKPOINT_KEEP: int(
    0,
    'Checkpoints of the period that stay: the newest so many; 0: all. model_best.pth and model_final.pth always do ' +
      '(not in the official code).',
    NOT_NEGATIVE,
  ),
  CHECKPOINT_RETRY: int(
    600,
    'Seconds for which saving is tried again when the disk is full or away, before the run gives up (not in the ' +
      'official code).',
    NOT_NEGATIVE,
  ),
  EVAL_PERIOD: int(1, 'Epochs between evaluations.', AT_LEAST_ONE),
  EVAL_AFTER: int(2, 'Epochs before the first evaluation.', NOT_NEGATIVE),
  VIDEOS_PER_BATCH: int(16, 'Clips per training batch, over all devices together.', AT_LEAST_ONE),
  ACCUMULATE: int(
    1,
    'Batches whose gradients make one iteration (not in the official code): the same as a batch of ACCUMULATE · ' +
      'VIDEOS_PER_BATCH clips, in the memory of VIDEOS_PER_BATCH.',
    AT_LEAST_ONE,
  ),
  CLIP_GRAD_NORM: float(
    0,
    'Scale gradients whose total norm is larger down to it; 0: never (not in the official code).',
    NOT_NEGATIVE,
  ),
  ON_NONFINITE: word(
    ['stop', 'skip'],
    'stop',
    'At a loss or gradients that are not finite: end the run, or go on without that iteration (not in the official code).',
  ),
  NONFINITE_LIMIT: int(
    10,
    'With ON_NONFINITE skip, so many such iterations in a row end the run (not in the official code).',
    AT_LEAST_ONE,
  ),
  OPTIMIZING_METHOD: word(OPTIMIZERS, 'adamw', 'Optimizer, in any spelling of capitals.', {
    anyCase: true,
  }),
  MOMENTUM: float(0.9, 'Momentum of sgd (the official code reads it without having a default).', RATE),
  DAMPENING: float(0, 'Dampening of the momentum of sgd (likewise).', { minimum: 0, maximum: 1 }),
  NESTEROV: bool(false, "Nesterov's form of momentum in sgd (likewise)."),
  APPLY_LR_SCALE: bool(
    true,
    'Let ViT.LAYER_DECAY scale the learning rates; False does as the official code, which computes the factors and ' +
      'never uses them.',
  ),
});

export const ENGINE = section('What runs the tensors (not in the official code).', {
  THREADS: int(
    0,
    'Threads that one operation may use; 0: one for each core. The variable STMIXER_THREADS wins.',
    NOT_NEGATIVE,
  ),
});
