/** @file Schema of SOLVER (length, optimizer, learning rate, saving, evaluation) and ENGINE. */
import { OPTIMIZERS, PRECISIONS, SCHEDULERS, WARMUP_METHODS } from './choices.js';
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

export const SOLVER = section('Training: length, optimizer, learning rate, saving, evaluation.', {
  ITER_PER_EPOCH: int(11524, 'Iterations per epoch.', AT_LEAST_ONE),
  MAX_EPOCH: int(12, 'Epochs of the whole run.', AT_LEAST_ONE),
  BASE_LR: float(2e-4, 'Learning rate, before schedule and layer decay.', POSITIVE),
  BETAS: list(item.float(RATE), [0.9, 0.999], 'Moment coefficients of adam and adamw.', {
    minItems: 2,
    maxItems: 2,
  }),
  WEIGHT_DECAY: float(1e-4, 'Weight decay of everything except the backbone.', NOT_NEGATIVE),
  WEIGHT_DECAY_BN: float(0, 'Weight decay of batch normalisation in a ResNet backbone.', NOT_NEGATIVE),
  SCHEDULER: word(
    SCHEDULERS,
    'warmup_multi_step',
    'Learning rate schedule: steps down at the epochs in STEPS, or half a cosine down to zero.',
  ),
  GAMMA: float(0.1, 'Factor on the learning rate at each epoch in STEPS.', POSITIVE),
  STEPS: list(
    item.float(NOT_NEGATIVE),
    [5, 8],
    'Epochs at which the learning rate steps down, in ascending order.',
  ),
  WARMUP_ON: bool(true, 'Warm up: start with a lower learning rate.'),
  WARMUP_FACTOR: float(0.1, 'Factor on the learning rate at the start of the warm-up.', NOT_NEGATIVE),
  WARMUP_EPOCH: int(2, 'Epochs of the warm-up.', NOT_NEGATIVE),
  WARMUP_METHOD: word(
    WARMUP_METHODS,
    'linear',
    'Shape of the warm-up: a linear rise, or WARMUP_FACTOR until its end.',
  ),
  CHECKPOINT_PERIOD: int(1, 'Epochs between checkpoints.', AT_LEAST_ONE),
  CHECKPOINT_MINUTES: float(
    30,
    'Minutes between saves of model_latest.pth, in addition to the periodic checkpoints. 0 means never (not in the ' +
      'official code).',
    NOT_NEGATIVE,
  ),
  CHECKPOINT_KEEP: int(
    0,
    'How many periodic checkpoints to keep, newest first. 0 keeps all. model_best.pth and model_final.pth are always ' +
      'kept (not in the official code).',
    NOT_NEGATIVE,
  ),
  CHECKPOINT_RETRY: int(
    600,
    'Seconds for which saving is retried if the disk is full or unmounted. After that the run ends (not in the official ' +
      'code).',
    NOT_NEGATIVE,
  ),
  LOG_PERIOD: int(
    10,
    'Iterations between two lines of the log, and between two points in TensorBoard. The first iterations are always in the ' +
      'log, and metrics.jsonl has every iteration (not in the official code, which logs every 10th).',
    AT_LEAST_ONE,
  ),
  EVAL_PERIOD: int(1, 'Epochs between evaluations.', AT_LEAST_ONE),
  EVAL_AFTER: int(2, 'Epochs after which evaluations begin.', NOT_NEGATIVE),
  VIDEOS_PER_BATCH: int(16, 'Clips per training batch, on all devices together.', AT_LEAST_ONE),
  ACCUMULATE: int(
    1,
    'Gradient accumulation: micro-batches of VIDEOS_PER_BATCH clips whose gradients make one iteration. Trains like a ' +
      'batch of ACCUMULATE · VIDEOS_PER_BATCH clips, in the memory of one micro-batch (not in the official code).',
    AT_LEAST_ONE,
  ),
  BUCKET_MB: float(
    25,
    'With several processes: gradients of so many MiB are summed together, as soon as they are computed (not in the official ' +
      'code, where it is a constant of PyTorch).',
    NOT_NEGATIVE,
  ),
  COLLECTIVE_TIMEOUT: float(
    1800,
    'With several processes: seconds after which the run ends if a process waits for the others. 0 means no limit. It has to be ' +
      'longer than an evaluation, because process 0 alone computes its results (not in the official code).',
    NOT_NEGATIVE,
  ),
  CLIP_GRAD_NORM: float(
    0,
    'Maximum gradient norm. Larger gradients are scaled down to it; 0 means no maximum (not in the official code).',
    NOT_NEGATIVE,
  ),
  ON_NONFINITE: word(
    ['stop', 'skip'],
    'stop',
    'What to do if the loss or a gradient is not finite: end the run, or skip the iteration (not in the official code).',
  ),
  NONFINITE_LIMIT: int(
    10,
    'With ON_NONFINITE skip, the number of skipped iterations in a row that ends the run (not in the official code).',
    AT_LEAST_ONE,
  ),
  OPTIMIZING_METHOD: word(OPTIMIZERS, 'adamw', 'Optimizer, in any letter case.', {
    anyCase: true,
  }),
  MOMENTUM: float(0.9, 'Momentum of sgd (the official code has no default for it).', RATE),
  DAMPENING: float(0, 'Dampening of the momentum of sgd (the official code has no default for it).', {
    minimum: 0,
    maximum: 1,
  }),
  NESTEROV: bool(false, 'Use Nesterov momentum in sgd (the official code has no default for it).'),
  APPLY_LR_SCALE: bool(
    true,
    'Apply ViT.LAYER_DECAY to the learning rates. False does what the official code does: it computes the factors and ' +
      'never uses them (not in the official code).',
  ),
});

export const ENGINE = section('Engine (not in the official code).', {
  THREADS: int(
    0,
    'Threads of one operation. 0 means one per core. The environment variable STMIXER_THREADS takes precedence.',
    NOT_NEGATIVE,
  ),
  GPU_INDEX: int(
    -1,
    'Number of the GPU, as `stmixer engine list` counts them. -1 means the best one. The environment variable STMIXER_GPU, a ' +
      'number or a part of a name, takes precedence.',
    { minimum: -1 },
  ),
  REPLAY: bool(
    true,
    'Run training steps, evaluations and detections whose shapes were seen twice before from a captured script, which saves ' +
      'the time of recording them. The results are the same to the last bit. False records every step. Only onnx and cuda ' +
      'capture.',
  ),
  PRECISION: word(
    PRECISIONS,
    'float32',
    'How matrices are multiplied. float32: as on a CPU. tf32: float32 operands are rounded to 10 bits of mantissa. bfloat16: ' +
      'operands, activations and their gradients have 7 bits of mantissa and take half the memory; weights, the state of the ' +
      'optimizer, sums and losses stay float32. Only the engine cuda has tf32 and bfloat16, on GPUs from compute capability ' +
      '8.0 on.',
  ),
  DETERMINISTIC: bool(
    true,
    'Two runs of the engine cuda give the same bits. False lets it add up some gradients in any order, which is faster. The ' +
      'other engines do not read this key.',
  ),
});
