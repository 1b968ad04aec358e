/** @file One of several processes that does every collective operation, and reports what differs from what one process computes. */
import { readFileSync } from 'node:fs';
import type { Numbers, ReduceOp } from '../../src/distributed/communicator.js';
import { joinProcesses } from '../../src/distributed/join.js';
import { broadcastJson, firstOf } from '../../src/distributed/json_values.js';
import { addressOf, NativeFloats, nativeBytes } from '../../src/util/native/native.js';

const group = await joinProcesses();
const { rank, size, communicator } = group;
const problems: string[] = [];
const ranks = Array.from({ length: size }, (_, r) => r);

/** The number of a process at an index: small, so that sums are exact in every type. */
const numberOf = (r: number, i: number) => ((i * 7 + r * 13) % 101) - 50;

function combined(op: ReduceOp, i: number): number {
  const numbers = ranks.map((r) => numberOf(r, i));
  if (op === 'sum') return numbers.reduce((sum, x) => sum + x, 0);
  return op === 'max' ? Math.max(...numbers) : Math.min(...numbers);
}

function check(what: string, actual: ArrayLike<number>, expected: (i: number) => number): void {
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] === expected(i)) continue;
    problems.push(`${what}: ${actual[i]} at ${i} instead of ${expected(i)}`);
    return;
  }
}

const LENGTHS = [0, 1, 3, 1000, 2_000_003];
const TYPES: readonly (new (length: number) => Numbers)[] = [Float32Array, Float64Array, Int32Array];
for (const op of ['sum', 'max', 'min'] as const)
  for (const Type of TYPES)
    for (const length of LENGTHS) {
      const numbers = new Type(length).map((_, i) => numberOf(rank, i)) as Numbers;
      await communicator.allReduce(numbers, op);
      check(`${op} of ${length} in ${Type.name}`, numbers, (i) => combined(op, i));
    }

// A part of an array: its neighbours stay.
const whole = new Float32Array(10).fill(rank);
await communicator.allReduce(whole.subarray(3, 5), 'sum');
const ofPart = (i: number) => (i === 3 || i === 4 ? (size * (size - 1)) / 2 : rank);
check('a part of an array', whole, ofPart);

const native = nativeBytes(40);
const floats = new Float32Array(native.buffer).fill(rank);
await communicator.allReduce(new NativeFloats(BigInt(addressOf(native)), 10).subarray(3, 5), 'sum');
check('native memory', floats, ofPart);

for (const root of ranks)
  for (const length of LENGTHS) {
    const bytes = new Uint8Array(length).map((_, i) => (rank === root ? (i + root) % 256 : 0));
    await communicator.broadcast(bytes, root);
    check(`${length} bytes from ${root}`, bytes, (i) => (i + root) % 256);
  }

const gathered = await communicator.gather(new Uint8Array(rank * 1000).fill(rank));
if (rank > 0 && gathered !== null) problems.push('gather gave a result to another process than 0');
if (rank === 0) {
  for (const r of ranks) {
    if (gathered?.[r].length !== r * 1000) problems.push(`gather got ${gathered?.[r].length} bytes of ${r}`);
    check(`gathered from ${r}`, gathered?.[r] ?? [], () => r);
  }
}

const value = await broadcastJson(communicator, rank === 0 ? { text: 'für alle', list: [1, 2] } : null);
if (JSON.stringify(value) !== '{"text":"für alle","list":[1,2]}') problems.push('broadcastJson');
const first = await firstOf(communicator, rank > 0 ? `from ${rank}` : null);
if (first !== (size > 1 ? 'from 1' : null)) problems.push(`firstOf: ${first}`);
if ((await firstOf(communicator, null)) !== null) problems.push('firstOf without a value');

// Operations under way together, on two communicators, while this thread does other things.
const other = group.duplicate();
let turns = 0;
const timer = setInterval(() => turns++, 1);
const large = new Float32Array(4_000_000).map((_, i) => numberOf(rank, i));
const small = new Int32Array(100).map((_, i) => numberOf(rank, i));
const more = new Float64Array(100_000).map((_, i) => numberOf(rank, i));
// The order differs between the communicators, but not on each of them.
const under = rank % 2 === 0 ? [communicator.allReduce(large, 'sum')] : [other.allReduce(small, 'max')];
under.push(rank % 2 === 0 ? other.allReduce(small, 'max') : communicator.allReduce(large, 'sum'));
under.push(communicator.allReduce(more, 'min'));
await Promise.all(under);
clearInterval(timer);
check('a large sum beside others', large, (i) => combined('sum', i));
check('a maximum on another communicator', small, (i) => combined('max', i));
check('a second operation on a communicator', more, (i) => combined('min', i));
if (turns === 0) problems.push('the event loop stood still');

// An operation that blocks this thread, while another one is under way.
const meanwhile = new Float32Array(4_000_000).map((_, i) => numberOf(rank, i));
const atOnce = new Float64Array(100_000).map((_, i) => numberOf(rank, i));
const later = other.allReduce(meanwhile, 'sum');
communicator.allReduceNow(atOnce, 'max');
check('a maximum at once', atOnce, (i) => combined('max', i));
await later;
check('a sum beside an operation at once', meanwhile, (i) => combined('sum', i));

// Pages of code that belong to this process alone have been written to.
const pages = readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[\da-f]+-)/);
const changed = pages.filter(
  (range) => /r-xp .*\/libc\.so/.test(range) && !/^Private_Dirty: +0 kB$/m.test(range),
);
if (changed.length > 0) problems.push('MPI has rewritten functions of the C library');

await communicator.barrier();
const { local } = group;
if (local.size !== size || local.rank !== rank) problems.push(`local: ${local.rank} of ${local.size}`);
if (local.onSameCores !== size) problems.push(`${local.onSameCores} processes on the same cores`);
console.log(`process ${rank}: ${problems.length === 0 ? 'all right' : problems.join('; ')}`);
await group.close();
