/** @file A communicator of MPI. */
import { NativeFloats, type Out } from '../../util/native/native.js';
import type { Communicator, Numbers, ReduceOp } from '../communicator.js';
import { type Handle, typeOf } from './abi.js';
import type { MpiFunctions } from './functions.js';
import type { Operation, Progress } from './progress.js';

/** Elements that one call of MPI combines or copies. Its counts have 31 bits, and some libraries count bytes in them. */
const MAX_COUNT = 2 ** 28;

export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Number of operations that this process has begun. All processes begin the same ones. */
  begun = 0;

  constructor(
    private readonly mpi: MpiFunctions,
    private readonly progress: Progress,
    private readonly handle: Handle,
  ) {
    this.rank = mpi.integer('MPI_Comm_rank', handle);
    this.size = mpi.integer('MPI_Comm_size', handle);
  }

  /** A communicator of the same processes, whose operations have an order of their own. All processes must call this. */
  duplicate(): MpiCommunicator {
    return new MpiCommunicator(this.mpi, this.progress, this.mpi.handle('MPI_Comm_dup', this.handle));
  }

  async allReduce(numbers: Numbers | NativeFloats, op: ReduceOp): Promise<void> {
    const pieces = inPieces(numbers).map((piece) => {
      const { label, memory, start } = this.#reduction(piece, op);
      return this.#run(label, memory, start);
    });
    await Promise.all(pieces);
  }

  allReduceNow(numbers: Numbers, op: ReduceOp): void {
    for (const piece of inPieces(numbers)) {
      const { label, memory, start } = this.#reduction(piece, op);
      this.progress.runNow(this.#next(label, memory), start);
    }
  }

  #reduction(piece: Numbers | NativeFloats, op: ReduceOp) {
    const { abi } = this.mpi;
    return {
      label: `all-reduce of ${piece.length} numbers`,
      memory: [piece],
      start: (request: Out) =>
        this.mpi.call(
          'MPI_Iallreduce',
          abi.inPlace,
          piece instanceof NativeFloats ? piece.address : piece,
          piece.length,
          abi.types[typeOf(piece)],
          abi.ops[op],
          this.handle,
          request.pointer,
        ),
    };
  }

  async broadcast(bytes: Uint8Array, root: number): Promise<void> {
    const pieces = inPieces(bytes).map((piece) =>
      this.#run(`broadcast of ${piece.length} bytes`, [piece], (request) =>
        this.mpi.call(
          'MPI_Ibcast',
          piece,
          piece.length,
          this.mpi.abi.types.byte,
          root,
          this.handle,
          request.pointer,
        ),
      ),
    );
    await Promise.all(pieces);
  }

  async gather(bytes: Uint8Array): Promise<Uint8Array[] | null> {
    const lengths = await this.#lengths(bytes.length);
    const all = Array.from(lengths, (length) => new Uint8Array(this.rank === 0 ? length : 0));
    const piece = Math.floor(MAX_COUNT / this.size);
    for (let start = 0; start < Math.max(...lengths); start += piece) {
      const counts = Int32Array.from(lengths, (length) => Math.max(0, Math.min(piece, length - start)));
      const gathered = await this.#gatherPiece(bytes.subarray(start, start + counts[this.rank]), counts);
      for (const [rank, part] of gathered.entries()) all[rank].set(part, start);
    }
    return this.rank === 0 ? all : null;
  }

  async barrier(): Promise<void> {
    await this.#run('barrier', [], (request) => this.mpi.call('MPI_Ibarrier', this.handle, request.pointer));
  }

  #run(label: string, memory: readonly unknown[], start: (request: Out) => void): Promise<void> {
    return this.progress.run(this.#next(label, memory), start);
  }

  #next(label: string, memory: readonly unknown[]): Operation {
    return { label, memory, communicator: this, number: ++this.begun };
  }

  /** The number that each process gives, by rank. */
  async #lengths(own: number): Promise<Float64Array> {
    const lengths = new Float64Array(this.size);
    lengths[this.rank] = own;
    await this.allReduce(lengths, 'sum');
    return lengths;
  }

  /** Gathers `counts[rank]` bytes of each process, on process 0. */
  async #gatherPiece(own: Uint8Array, counts: Int32Array): Promise<Uint8Array[]> {
    const starts = new Int32Array(this.size);
    for (let rank = 1; rank < this.size; rank++) starts[rank] = starts[rank - 1] + counts[rank - 1];
    const total = starts[this.size - 1] + counts[this.size - 1];
    const all = new Uint8Array(this.rank === 0 ? total : 0);
    const { byte } = this.mpi.abi.types;
    await this.#run(`gathering ${total} bytes`, [own, all, counts, starts], (request) =>
      this.mpi.call(
        'MPI_Igatherv',
        own,
        own.length,
        byte,
        all,
        counts,
        starts,
        byte,
        0,
        this.handle,
        request.pointer,
      ),
    );
    return this.rank === 0
      ? Array.from(starts, (start, rank) => all.subarray(start, start + counts[rank]))
      : [];
  }
}

function inPieces<T extends Numbers | NativeFloats | Uint8Array>(array: T): T[] {
  const count = Math.ceil(array.length / MAX_COUNT);
  return Array.from({ length: count }, (_, i) => array.subarray(i * MAX_COUNT, (i + 1) * MAX_COUNT) as T);
}
