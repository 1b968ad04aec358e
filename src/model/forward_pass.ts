/** @file The forward pass of a model without gradients, recorded or replayed from a script. */
import type { Batch } from '../data/loading/collate.js';
import { sync } from '../engine/lazy_hints.js';
import { beginProgram, feed, type ReplayedProgram } from '../engine/programs.js';
import { tf } from '../engine/tfjs.js';
import type { Detector, StagePrediction } from './detector.js';
import type { HostResult } from './inference.js';

export interface ForwardOptions {
  /** Distinguishes the results of `select` from those of other callers. */
  readonly key: string;
  /** Whether the engine may run passes of known shapes from captured scripts. */
  readonly replay: boolean;
  /** Computes the tensors to read. Depends on nothing but its arguments. */
  select(stages: StagePrediction[], whwh: tf.Tensor): tf.Tensor[];
}

/** Runs a model on the clips of a batch, and reads what `select` returns. Does not block the event loop on the lazy engine. */
export async function forwardPass(
  model: Detector,
  batch: Pick<Batch, 'video' | 'shape' | 'whwh'>,
  { key, replay, select }: ForwardOptions,
): Promise<HostResult[]> {
  const program = beginProgram(
    {
      owners: [model],
      key: [key, batch.shape, model.modes()].join(' '),
      borrowed: [...model.parameters(), ...model.buffersInUse()].map(({ value }) => value),
    },
    replay,
  );
  try {
    if (program.isReplay) return await replayPass(program, batch);
    const tensors = tf.tidy(() => {
      const video = feed(batch.video, batch.shape);
      const whwh = feed(batch.whwh, [batch.shape[0], 4]);
      return select(model.forward(video, whwh), whwh);
    });
    const results = await readAll(tensors);
    await sync();
    const notes = JSON.stringify(results.map(({ shape }) => shape));
    program.finish({ notes, feeds: 2, reads: results.length });
    return results;
  } finally {
    program.abort();
  }
}

async function replayPass(
  program: ReplayedProgram,
  { video, whwh }: Pick<Batch, 'video' | 'whwh'>,
): Promise<HostResult[]> {
  program.feed(video);
  program.feed(whwh);
  const results: HostResult[] = [];
  for (const shape of JSON.parse(program.notes) as number[][])
    results.push({ content: await program.read(), shape });
  await program.finish();
  return results;
}

/** Reads tensors one after the other, and disposes them. */
async function readAll(tensors: readonly tf.Tensor[]): Promise<HostResult[]> {
  const results: HostResult[] = [];
  try {
    for (const tensor of tensors) {
      results.push({ content: (await tensor.data()) as Float32Array, shape: tensor.shape });
    }
    return results;
  } finally {
    tf.dispose([...tensors]);
  }
}
