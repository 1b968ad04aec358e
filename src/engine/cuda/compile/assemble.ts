/** @file Assembles a program: renders the kernels of a schedule, places its tensors and lists the launches. */
import type { GemmStep, KernelStep, PlanStep } from '../ir/call.js';
import { partsOf } from '../ir/rewrite.js';
import { bytesOf, type Tensor } from '../ir/tensor.js';
import { batchText, renderChunks } from '../render/batch.js';
import { renderElements } from '../render/elements.js';
import { BLOCK, jointText, kernelText, type RenderedKernel, tensorsOf } from '../render/kernel.js';
import { preambleOf } from '../render/preamble.js';
import { renderReduce } from '../render/reduce.js';
import { renderRows } from '../render/rows.js';
import type { Parameter } from '../render/writer.js';
import { ELEMENT_BYTES } from '../storage.js';
import { joinBatches } from './batches.js';
import type { CallItem, Group, Loop } from './groups.js';
import { resultsInPlace } from './in_place.js';
import { type Batch, groupsOf, type Item, madeBy, readBy } from './items.js';
import { joinSmall } from './joints.js';
import type { LoweredGraph } from './lower.js';
import {
  type Argument,
  type Cost,
  GEMM_WORKSPACE_BYTES,
  type Launch,
  type Place,
  type Program,
} from './program.js';
import { type Schedule, schedule } from './schedule.js';
import { type Lifetime, planWorkspace } from './workspace.js';

const NO_COST: Cost = { bytes: 0, flops: 0 };

export function assemble({ builder, outputs }: LoweredGraph): Program {
  return new Assembler(outputs, schedule(outputs, builder.pool)).program();
}

class Assembler {
  readonly #launches: Launch[] = [];
  /** Names of kernels by their text without the name. */
  readonly #names = new Map<string, string>();
  readonly #sources: string[] = [];
  readonly #places: ReadonlyMap<Tensor, Place>;
  readonly #inPlace: ReadonlyMap<Tensor, Tensor>;
  /** Results and inputs that may be in the same place. */
  readonly #aliased: ReadonlySet<Tensor>;
  /** Where products and plans have their workspace. */
  readonly #scratch: Place;
  readonly #workspaceBytes: number;

  constructor(
    private readonly outputs: readonly Tensor[],
    { items: scheduled, stored }: Schedule,
  ) {
    const items = joinSmall(joinBatches(scheduled));
    this.#inPlace = resultsInPlace(items, new Set(outputs));
    this.#aliased = new Set([...this.#inPlace].flat());
    const inside = [...stored].filter(
      (tensor) => tensor.definition.kind !== 'input' && !outputs.includes(tensor),
    );
    const lifetimes = lifetimesOf(items, inside);
    const scratchBytes = Math.max(0, ...items.map(scratchOf));
    const scratch: Lifetime = { bytes: scratchBytes, first: 0, last: items.length };
    const { offsets, bytes } = planWorkspace(scratchBytes > 0 ? [...lifetimes, scratch] : lifetimes);
    const workspace = (offset = 0): Place => ({ kind: 'workspace', index: 0, offset });
    this.#places = new Map(inside.map((tensor, n) => [tensor, workspace(offsets[n])]));
    this.#scratch = workspace(offsets[inside.length]);
    this.#workspaceBytes = inside.length + scratchBytes > 0 ? bytes : 0;
    for (const item of items) {
      if (item.kind === 'call') this.#addCall(item);
      else if (item.kind === 'batch') this.#addBatch(item);
      else this.#addGroups(groupsOf(item));
    }
  }

  program(): Program {
    const kernels = this.#sources.join('\n');
    const preamble = preambleOf(kernels);
    return {
      source: preamble ? `${preamble}\n${kernels}` : kernels,
      launches: this.#launches,
      outputs: this.outputs.map((tensor) => ({
        bytes: bytesOf(tensor),
        storage: tensor.storage,
        inPlaceOf: inputNumber(this.#inPlace.get(tensor)),
      })),
      workspaceBytes: this.#workspaceBytes,
    };
  }

  #placeOf(tensor: Tensor, offset = 0): Place {
    const { definition, storage } = tensor;
    const bytes = offset * ELEMENT_BYTES[storage];
    if (definition.kind === 'input') return { kind: 'input', index: definition.index, offset: bytes };
    const output = this.outputs.indexOf(tensor);
    if (output >= 0) return { kind: 'output', index: output, offset: bytes };
    const place = this.#places.get(tensor);
    if (!place) throw new Error(`the result of ${tensor.label} has no place`);
    return { ...place, offset: place.offset + bytes };
  }

  /** Adds one launch for the kernels of all groups. */
  #addGroups(groups: readonly Group[]): void {
    const used = groups.filter(({ members }) => members.some(({ tensor }) => tensor.size > 0));
    if (used.length === 0) return;
    const kernels = used.map((group) => {
      const kernel = render(group);
      return { ...kernel, parameters: kernel.parameters.map((parameter) => this.#marked(parameter)) };
    });
    const tensors = kernels.map(({ parameters }) => tensorsOf(parameters));
    const name =
      kernels.length === 1
        ? this.#kernelName(kernels[0].kind, (name) => kernelText(kernels[0], name))
        : this.#kernelName('joint', (name) => jointText(kernels, name));
    this.#launches.push({
      kind: 'kernel',
      name,
      grid: [kernels.reduce((sum, { blocks }) => sum + blocks, 0), 1, 1],
      block: BLOCK,
      args: tensors.flat().map((tensor) => this.#placeOf(tensor)),
      label: labelOf(used.flatMap(({ members }) => members.map(({ tensor }) => tensor))),
      cost: sumOfCosts(used.map((group, n) => costOf(group, tensors[n]))),
    });
  }

  #addBatch({ groups, kernels }: Batch): void {
    const used = [...groups.keys()].filter((n) => kernels[n].size > 0);
    if (used.length === 0) return;
    const list = used.map((n) => kernels[n]);
    const [first] = list;
    const blocks = list.map(({ size, perBlock }) => Math.ceil(size / perBlock));
    let before = 0;
    const firstBlocks = blocks.map((count) => {
      before += count;
      return before - count;
    });
    const integer = (value: number): Argument => ({ kind: 'integer', value });
    const tensors = list.map(({ parameters }) => tensorsOf(parameters));
    const parameters = first.parameters.map((parameter, p) =>
      this.#marked(
        parameter,
        tensors.map((ofEntry) => ofEntry[p]),
      ),
    );
    this.#launches.push({
      kind: 'kernel',
      name: this.#kernelName('batch', (name) => batchText({ ...first, parameters }, list.length, name)),
      grid: [before, 1, 1],
      block: BLOCK,
      args: [
        ...first.parameters.flatMap((_, p) => tensors.map((ofEntry) => this.#placeOf(ofEntry[p]))),
        ...list.map(({ size }) => integer(size)),
        ...firstBlocks.map(integer),
      ],
      label: labelOf(used.flatMap((n) => groups[n].members.map(({ tensor }) => tensor))),
      cost: sumOfCosts(used.map((n, entry) => costOf(groups[n], tensors[entry]))),
    });
  }

  /** The parameter for these tensors, marked if it may point to the memory of another one. */
  #marked(parameter: Parameter, tensors: readonly Tensor[] = [parameter.tensor]): Parameter {
    return { ...parameter, isAliased: tensors.some((tensor) => this.#aliased.has(tensor)) };
  }

  #addCall({ call: { steps, results } }: CallItem): void {
    const label = labelOf(results);
    for (const step of steps) {
      const operands = step.operands.map(({ tensor, offset }) => this.#placeOf(tensor, offset));
      const targets = step.results.map(({ result, offset }) => this.#placeOf(results[result], offset));
      if (step.kind === 'gemm') this.#launches.push(this.#gemm(step, operands, targets, label));
      else if (step.kind === 'kernel')
        this.#launches.push(this.#handWritten(step, [...operands, ...targets], label));
      else if (step.kind === 'plan') this.#launches.push(this.#plan(step, [...operands, ...targets], label));
      else {
        const [{ result }] = step.results;
        const bytes = bytesOf(results[result]);
        this.#launches.push({ kind: 'clear', place: targets[0], bytes, label, cost: step.cost });
      }
    }
  }

  #gemm({ gemm, cost }: GemmStep, [a, b, bias]: Place[], [c, biasGrad]: Place[], label: string): Launch {
    return {
      kind: 'gemm',
      gemm,
      a,
      b,
      c,
      bias: gemm.epilogue === 'bias-grad' ? biasGrad : bias,
      workspace: this.#scratch,
      label,
      cost,
    };
  }

  #handWritten({ source, grid, block, cost }: KernelStep, args: Place[], label: string): Launch {
    return { kind: 'kernel', name: this.#kernelName('kernel', source), grid, block, args, label, cost };
  }

  #plan({ plan, ids, cost }: PlanStep, places: Place[], label: string): Launch {
    const tensors = ids.map((id, n) => ({ id, place: places[n] }));
    return { kind: 'plan', plan, tensors, workspace: this.#scratch, label, cost };
  }

  /** The name of a kernel; kernels with the same text are one. */
  #kernelName(kind: string, textOf: (name: string) => string): string {
    const key = textOf('kernel');
    let name = this.#names.get(key);
    if (name === undefined) {
      name = `${kind}_${this.#names.size}`;
      this.#names.set(key, name);
      this.#sources.push(textOf(name));
    }
    return name;
  }
}

function inputNumber(tensor: Tensor | undefined): number | null {
  return tensor?.definition.kind === 'input' ? tensor.definition.index : null;
}

function render(group: Group): RenderedKernel {
  const { loop } = group;
  if (loop.kind === 'chunks') return renderChunks(group, loop);
  if (loop.kind === 'elements') return renderElements(group, loop);
  return loop.kind === 'rows' ? renderRows(group, loop) : renderReduce(group, loop);
}

/** From the item that computes a tensor to the last one that reads it. */
function lifetimesOf(items: readonly Item[], tensors: readonly Tensor[]): Lifetime[] {
  const first = new Map<Tensor, number>();
  const last = new Map<Tensor, number>();
  for (const [n, item] of items.entries()) {
    for (const tensor of madeBy(item)) {
      first.set(tensor, n);
      last.set(tensor, n);
    }
    for (const tensor of readBy(item)) last.set(tensor, n);
  }
  return tensors.map((tensor) => ({
    bytes: bytesOf(tensor),
    first: first.get(tensor) as number,
    last: last.get(tensor) as number,
  }));
}

function scratchOf(item: Item): number {
  if (item.kind !== 'call') return 0;
  return Math.max(
    0,
    ...item.call.steps.map((step) => {
      if (step.kind === 'gemm') return GEMM_WORKSPACE_BYTES;
      return step.kind === 'plan' ? step.workspaceBytes : 0;
    }),
  );
}

/** The operations that tensors belong to, each once. */
function labelOf(tensors: readonly Tensor[]): string {
  return [...new Set(tensors.map(({ label }) => label))].join(', ');
}

/** Each tensor is read or written once; each part of an expression that is not an index is an operation. */
function costOf({ loop, exprs }: Group, tensors: readonly Tensor[]): Cost {
  const evaluations = evaluationsOf(loop);
  const operations = [...partsOf(exprs)].filter(({ kind }) => kind.op === 'float' || kind.op === 'function');
  const bytes = tensors.map((tensor) =>
    Math.min(bytesOf(tensor), evaluations * ELEMENT_BYTES[tensor.storage]),
  );
  return { bytes: bytes.reduce((sum, count) => sum + count, 0), flops: evaluations * operations.length };
}

function evaluationsOf(loop: Loop): number {
  switch (loop.kind) {
    case 'elements':
      return loop.size;
    case 'rows':
      return loop.rows * loop.width;
    case 'chunks':
      return loop.count;
    case 'reduce':
      return loop.size * loop.count;
  }
}

function sumOfCosts(costs: readonly Cost[]): Cost {
  return costs.reduce(
    (sum, { bytes, flops }) => ({ bytes: sum.bytes + bytes, flops: sum.flops + flops }),
    NO_COST,
  );
}
