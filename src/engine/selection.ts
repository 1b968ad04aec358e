/** @file Picks the engine: a table of rows, tried from the fastest to the plainest. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../errors.js';
import { OnnxEngine } from './onnx/engine.js';
import type { Probe } from './probe.js';
import { TensorflowRuntime } from './tensorflow/runtime.js';
import type { EngineInfo, EngineRequest, EngineRow, Problem } from './types.js';

/** The engines of one process. */
export class EngineSelector {
  /** In the order in which `auto` takes them. */
  readonly #rows: EngineRow[];

  constructor(probe: Probe) {
    const tensorflow = new TensorflowRuntime(probe);
    this.#rows = [tensorflow.row('cuda'), new OnnxEngine(probe), tensorflow.row('cpu'), plainRow];
  }

  /** Makes the first row that fits and works current. Throws EngineError with what is missing and how to get it. */
  async select(request: EngineRequest): Promise<EngineInfo> {
    const verbose = request.verbose ?? false;
    if (!verbose) tf.enableProdMode(); // No advertisements of tfjs on standard error.
    const rows = this.#rows.filter(
      ({ engine, device }) =>
        (request.engine === 'auto' || engine === request.engine) &&
        (request.device === 'auto' || device === request.device),
    );
    if (rows.length === 0) throw new EngineError(this.#impossible(request));
    const notes: string[] = [];
    const failures: string[] = [];
    for (const row of rows) {
      let reasons = row.problems().map(sentence);
      if (reasons.length === 0) {
        try {
          const info = await row.start(verbose);
          return { ...info, notes, description: [info.description, ...notes].join('; ') };
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
          reasons = [error.message];
        }
      } else if (!row.isWorthANote() && rows.length > 1) continue;
      failures.push(...reasons);
      notes.push(`not on ${nameOf(row)}: ${reasons.join('; ')}`);
    }
    throw new EngineError(failureText(request, failures));
  }

  #impossible({ engine, device }: EngineRequest): string {
    const devices = this.#rows.filter((row) => row.engine === engine).map((row) => row.device);
    const others = this.#rows.filter((row) => row.device === device).map((row) => row.engine);
    return (
      `--engine ${engine} does not run on ${device}, only on ${devices.join(' and ')}: ` +
      `choose --device ${devices.join(' or ')}, or --engine ${others.join(' or ')}`
    );
  }
}

/** tfjs's own JavaScript kernels: the oracle of the tests, and what is left where nothing else is there. */
const plainRow: EngineRow = {
  engine: 'cpu',
  device: 'cpu',
  problems: () => [],
  isWorthANote: () => true,
  async start() {
    await tf.setBackend('cpu');
    const version = tf.version.tfjs;
    const description = `cpu: plain JavaScript on one thread (tfjs ${version})`;
    return { engine: 'cpu', device: 'cpu', description, version, threads: 1 };
  },
};

function nameOf({ engine, device }: EngineRow): string {
  return `${engine}/${device}`;
}

function sentence({ what, remedy }: Problem): string {
  return `${what} (${remedy})`;
}

function failureText({ engine, device }: EngineRequest, failures: string[]): string {
  const asked = [
    engine === 'auto' ? '' : `--engine ${engine}`,
    device === 'auto' ? '' : `--device ${device}`,
  ];
  const list = [...new Set(failures)];
  const reasons = list.length === 1 ? ` ${list[0]}` : list.map((line) => `\n  - ${line}`).join('');
  return `${asked.filter(Boolean).join(' ')} cannot run here:${reasons}`;
}
