/** @file Builds ONNX graphs that ONNX Runtime's WebGPU provider runs without falling back to the CPU. */
import type { LazyDtype } from '../../lazy/value.js';
import { GraphBuilder, type NewNode } from '../graph_builder.js';
import type { OnnxValue } from '../model_format.js';
import { inferResults, infoOfConstant, type OnnxInfo } from '../shapes.js';
import { RULES } from './rules.js';

/** Replaces operators that the provider lacks, for the types of their operands, by others. */
export class WebGpuBuilder extends GraphBuilder {
  readonly #infos = new Map<string, OnnxInfo>();
  #knownConstants = 0;

  constructor(inputs: readonly OnnxValue[]) {
    super();
    for (const { name, shape, type } of inputs) this.#infos.set(name, { shape, type });
  }

  /** Shape and type of a value in the graph. */
  info(name: string): OnnxInfo {
    for (const constant of this.constants.slice(this.#knownConstants))
      this.#infos.set(constant.name, infoOfConstant(constant));
    this.#knownConstants = this.constants.length;
    const info = this.#infos.get(name);
    if (!info) throw new Error(`no value ${name} in the graph`);
    return info;
  }

  protected override add(node: NewNode, count: number): string[] {
    const infos = node.inputs.map((name) => this.info(name));
    // Inference needs the number of outputs only.
    const results = inferResults({ ...node, name: '', outputs: new Array(count).fill('') }, infos);
    if (makesNothing(node, results)) return this.#empty(results);
    const replaced = RULES[node.op]?.(this, node, infos, results);
    if (replaced) return replaced;
    const names = super.add(node, count);
    for (const [i, info] of results.entries()) this.#infos.set(names[i], info);
    return names;
  }

  /** Adds tensors without elements. */
  #empty(infos: readonly OnnxInfo[]): string[] {
    return infos.map(({ shape, type }) => {
      const zero =
        type === 'int64' ? this.cast(this.scalar(0, 'int32'), type) : this.scalar(0, type as LazyDtype);
      return this.op('Expand', [zero, this.ints(shape)]);
    });
  }
}

/** Whether no result has an element. Some of the provider's operators then divide by 0, which ends the process. */
function makesNothing({ op }: NewNode, results: readonly OnnxInfo[]): boolean {
  return op !== 'Expand' && results.every(({ shape }) => shape.includes(0));
}
