/** @file What the stand-in for cuDNN refuses. */
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { Cudnn, type Descriptor, Descriptors } from '../../src/engine/cuda/api/cudnn.js';
import { ATTRIBUTE, ATTRIBUTE_TYPE, DESCRIPTOR } from '../../src/engine/cuda/api/cudnn_constants.js';
import { CudaError } from '../../src/engine/cuda/api/error.js';
import type { AttentionShape } from '../../src/engine/cuda/cudnn/attention.js';
import { CudnnPlans } from '../../src/engine/cuda/cudnn/plans.js';
import { allocate, check, cu, describeStandIn, result, standIn, start } from './bindings.js';

/** The code and the text with which a call fails. */
function refusalOf(action: () => unknown): { code: number; text: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof CudaError) return { code: error.code, text: error.text };
    throw error;
  }
  throw new Error('nothing was refused');
}

interface TensorOptions {
  readonly dims?: readonly number[];
  readonly strides?: readonly number[];
  readonly alignment?: number;
  readonly isByValue?: boolean;
}

function tensor(all: Descriptors, options: TensorOptions = {}): Descriptor {
  const { dims = [2, 3, 4], strides = [12, 4, 1], alignment = 16, isByValue = false } = options;
  return all
    .create(DESCRIPTOR.TENSOR)
    .setEnumeration(ATTRIBUTE.TENSOR_DATA_TYPE, ATTRIBUTE_TYPE.DATA_TYPE, 0)
    .setIntegers(ATTRIBUTE.TENSOR_DIMENSIONS, dims)
    .setIntegers(ATTRIBUTE.TENSOR_STRIDES, strides)
    .setIntegers(ATTRIBUTE.TENSOR_UNIQUE_ID, [1])
    .setIntegers(ATTRIBUTE.TENSOR_BYTE_ALIGNMENT, [alignment])
    .setBoolean(ATTRIBUTE.TENSOR_IS_BY_VALUE, isByValue);
}

const variants = (all: Descriptors, ids: readonly number[]) =>
  all
    .create(DESCRIPTOR.VARIANT_PACK)
    .setIntegers(ATTRIBUTE.VARIANT_PACK_UNIQUE_IDS, ids)
    .setAddresses(ATTRIBUTE.VARIANT_PACK_DATA_POINTERS, [64])
    .setAddresses(ATTRIBUTE.VARIANT_PACK_WORKSPACE, [0]);

/** Calls that cuDNN 9.24 refuses with these codes. */
const REFUSALS: Readonly<Record<string, readonly [code: number, (all: Descriptors) => unknown]>> = {
  'a kind that does not exist': [4003, (all) => all.create(999)],
  'an attribute of another kind': [
    2000,
    (all) => all.create(DESCRIPTOR.TENSOR).setIntegers(ATTRIBUTE.CONVOLUTION_DILATIONS, [1]),
  ],
  'an attribute of another type': [
    2010,
    (all) => all.create(DESCRIPTOR.TENSOR).setFloat(ATTRIBUTE.TENSOR_DIMENSIONS, 1),
  ],
  'a tensor without dims': [2000, (all) => all.create(DESCRIPTOR.TENSOR).finalize()],
  'a tensor with more axes than strides': [2000, (all) => tensor(all, { strides: [4, 1] }).finalize()],
  'an alignment of less than an element': [2000, (all) => tensor(all, { alignment: 3 }).finalize()],
  'a tensor by value of several elements': [2000, (all) => tensor(all, { isByValue: true }).finalize()],
  'a change of a finalized descriptor': [
    2000,
    (all) => tensor(all).finalize().setIntegers(ATTRIBUTE.TENSOR_UNIQUE_ID, [2]),
  ],
  'a second finalization': [2000, (all) => tensor(all).finalize().finalize()],
  'reading a descriptor that is not finalized': [
    1001,
    (all) => tensor(all).count(ATTRIBUTE.TENSOR_DIMENSIONS, ATTRIBUTE_TYPE.INT64),
  ],
  'reading an attribute as another type': [
    2010,
    (all) => tensor(all).finalize().count(ATTRIBUTE.TENSOR_DIMENSIONS, ATTRIBUTE_TYPE.FLOAT),
  ],
  'more ids than pointers': [2000, (all) => variants(all, [1, 2]).finalize()],
  'a plan of nothing': [2000, (all) => all.create(DESCRIPTOR.EXECUTION_PLAN).finalize()],
};

const open = () => new Cudnn(join(standIn.folder, 'libcudnn.so.9'));

describeStandIn('the stand-in for cuDNN refuses', () => {
  beforeEach(() => start());

  it.each(Object.entries(REFUSALS))('%s', (_, [code, action]) => {
    expect(refusalOf(() => action(new Descriptors(open()))).code).toBe(code);
  });

  it('operations on parts that are missing, not finalized or of another kind', () => {
    const all = new Descriptors(open());
    // Parts are made before what is made of them, and destroyed after it.
    const part = tensor(all).finalize();
    const reshape = all.create(DESCRIPTOR.OPERATION_RESHAPE);
    const set = (part: Descriptor) => reshape.setDescriptors(ATTRIBUTE.OPERATION_RESHAPE_XDESC, [part]);
    expect(refusalOf(() => set(tensor(all))).text).toContain('not finalized');
    expect(refusalOf(() => set(all.create(DESCRIPTOR.MATMUL))).text).toContain(
      'needs descriptors of kind 17',
    );
    expect(refusalOf(() => set(part).finalize()).text).toContain('lacks attribute 2201');
    const { address } = part;
    const destroy = () => all.cudnn.call('cudnnBackendDestroyDescriptor', address);
    expect(refusalOf(destroy).text).toContain('still in use');
    all.release();
    expect(refusalOf(destroy).text).toContain('has been destroyed');
  });
});

describeStandIn('a plan of the stand-in', () => {
  const shape: AttentionShape = { B: 1, N: 4, H: 1, D: 8, scale: 1 };
  const request = { kind: 'attention', shape, isDeterministic: true, allowsTf32: false } as const;
  let stream: number;
  let plans: CudnnPlans;

  beforeEach(() => {
    start();
    stream = Number(result<bigint>((out) => cu.cuStreamCreate(out, 1)));
    plans = new CudnnPlans({ cudnn: open(), name: 'stand-in', computeCapability: [8, 0], stream });
  });

  /** Finds the plan; the sizes of its tensors in bytes are those of qkv, out and statistics. */
  function found() {
    const { name, plan } = plans.find(request)!;
    const bytes = { qkv: 192, out: 64, statistics: 16 } as const;
    const blocks = Object.entries(bytes).map(([tensor, size]) => [tensor, allocate(size)] as const);
    const addresses: Record<string, number> = Object.fromEntries(blocks);
    const tensors = plan.arguments.map(({ id, name: tensor, offset }) => ({
      id,
      address: addresses[tensor] + offset,
    }));
    return { name, tensors, workspace: allocate(plan.workspaceBytes), workspaceBytes: plan.workspaceBytes };
  }

  it('needs all of its tensors, in live memory and aligned', () => {
    const { name, tensors, workspace } = found();
    const [q, ...others] = tensors;
    const run = (changed: readonly { id: number; address: number }[], at = workspace) =>
      refusalOf(() => plans.run(name, changed, at));
    expect(run(others).text).toContain(`needs the tensor ${q.id}`);
    expect(run([...tensors, { id: 99, address: q.address }]).text).toContain('needs no tensor 99');
    expect(run([{ ...q, address: q.address + 8 }, ...others]).code).toBe(2003);
    expect(run([{ ...q, address: 4096 }, ...others])).toMatchObject({
      code: 5000,
      text: expect.stringContaining('no device memory'),
    });
    expect(run([{ ...q, address: q.address + 48 }, ...others]).text).toContain('goes beyond');
    expect(run([{ ...q, address: workspace }, ...others]).text).toContain('lies in the workspace');
    plans.run(name, tensors, workspace);
    check(cu.cuStreamSynchronize(stream));
  });

  it('needs its workspace', () => {
    const { name, tensors, workspaceBytes } = found();
    expect(workspaceBytes).toBeGreaterThan(0);
    const small = allocate(workspaceBytes - 1);
    expect(refusalOf(() => plans.run(name, tensors, small)).text).toMatch(/workspace.*goes beyond/);
    expect(refusalOf(() => plans.run(name, tensors, 0)).text).toMatch(/workspace.*no device memory/);
  });

  it('is part of a graph if the stream captures', () => {
    const { name, tensors, workspace } = found();
    check(cu.cuStreamBeginCapture_v2(stream, 1));
    plans.run(name, tensors, workspace);
    const graph = result((out) => cu.cuStreamEndCapture(stream, out));
    expect(standIn.counters().plans).toBe(0);
    const executable = result((out) => cu.cuGraphInstantiateWithFlags(out, graph, 0));
    check(cu.cuGraphLaunch(executable, stream));
    check(cu.cuMemFree_v2(workspace));
    expect(cu.cuGraphLaunch(executable, stream)).not.toBe(0);
    expect(standIn.lastProblem()).toContain('workspace of a plan');
  });

  it('does not exist for shapes and devices that its kernels do not take', () => {
    const exists = (change: Partial<AttentionShape>) =>
      plans.find({ ...request, shape: { ...shape, ...change } }) !== null;
    expect([exists({}), exists({ D: 12 })]).toEqual([true, false]);
    start({ CUDA_ON_CPU_CAPABILITY: '7.5' });
    const reasons: string[] = [];
    const options = { cudnn: open(), name: 'old', computeCapability: [7, 5], stream: 0 } as const;
    const old = new CudnnPlans({ ...options, explain: (reason) => reasons.push(reason) });
    expect(old.find(request)).toBeNull();
    expect(reasons.join()).toContain('compute capability 8.0');
  });
});
