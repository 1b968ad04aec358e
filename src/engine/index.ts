/** @file Which hardware backend runs the tensors; nothing outside this folder imports a backend. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../errors.js';

export interface EngineRequest {
  engine: 'auto' | 'cpu' | 'tensorflow';
  device: 'auto' | 'cpu' | 'cuda';
}

export interface EngineInfo {
  engine: 'cpu' | 'tensorflow';
  device: 'cpu' | 'cuda';
  /** One line for the log: engine, library version, device. */
  description: string;
}

/** Makes the requested engine current. Throws EngineError with what is missing and how to get it. */
export async function selectEngine(request: EngineRequest): Promise<EngineInfo> {
  if (request.engine === 'tensorflow') throw new EngineError('the tensorflow engine is not set up');
  await tf.setBackend('cpu');
  return { engine: 'cpu', device: 'cpu', description: `tfjs ${tf.version.tfjs}, plain JavaScript` };
}
