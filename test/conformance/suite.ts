/** @file The part of a conformance run that shares tfjs with the tests. */
import * as tf from '@tensorflow/tfjs';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js';
import { type EngineName, selectEngine } from '../../src/engine/index.js';

/** What tfjs-core's suites add to their names. */
export const NAME_SUFFIX = ' backend {}';

/** Tests defined from now on run on the engine. Returns its description. */
export async function useEngine(engine: EngineName): Promise<string> {
  const { description } = await selectEngine({ engine, device: 'cpu' });
  setTestEnvs([{ name: 'backend', backendName: tf.getBackend(), flags: {}, isDataSync: true }]);
  return description;
}
