/**
 * @file The binary interfaces of the two families of MPI libraries: handles, constants and the layout of MPI_Status.
 *
 * Open MPI's handles are addresses of objects in the library. MPICH's are integers, the same in all libraries of its family
 * since version 3.1 (the "MPICH ABI Compatibility Initiative"). The numbers come from their mpi.h.
 */
import type { LibraryHandle } from 'koffi';
import koffi from 'koffi';
import { NativeFloats } from '../../util/native/native.js';
import type { Numbers, ReduceOp } from '../communicator.js';
import type { MpiFamily } from '../launch.js';

/** A communicator, type, operation, error handler or request of MPI. */
export type Handle = number;

export type MpiType = 'float32' | 'float64' | 'int32' | 'byte';

export interface MpiAbi {
  readonly family: MpiFamily;
  /** C type of handles in parameters. */
  readonly handleType: 'uintptr_t' | 'int';
  readonly world: Handle;
  readonly types: Readonly<Record<MpiType, Handle>>;
  readonly ops: Readonly<Record<ReduceOp, Handle>>;
  readonly errorsReturn: Handle;
  /** MPI_IN_PLACE as an address. */
  readonly inPlace: bigint;
  readonly anySource: number;
  /** Argument that splits a communicator by machine. */
  readonly sharedMemory: number;
  readonly noInfo: Handle;
  /** Index of the source among the 32-bit words of MPI_Status. */
  readonly statusSource: number;
}

const MPICH: MpiAbi = {
  family: 'MPICH',
  handleType: 'int',
  world: 0x44000000,
  types: { float32: 0x4c00040a, float64: 0x4c00080b, int32: 0x4c000405, byte: 0x4c00010d },
  ops: { sum: 0x58000003, max: 0x58000001, min: 0x58000002 },
  errorsReturn: 0x54000001,
  inPlace: -1n,
  anySource: -2,
  sharedMemory: 1,
  noInfo: 0x1c000000,
  statusSource: 2,
};

/** The interface of a library. */
export function abiOf(library: LibraryHandle): MpiAbi {
  const symbol = (name: string): Handle => Number(koffi.address(library.symbol(name)));
  if (!hasSymbol(library, 'ompi_mpi_comm_world')) return MPICH;
  return {
    family: 'Open MPI',
    handleType: 'uintptr_t',
    world: symbol('ompi_mpi_comm_world'),
    types: {
      float32: symbol('ompi_mpi_float'),
      float64: symbol('ompi_mpi_double'),
      int32: symbol('ompi_mpi_int'),
      byte: symbol('ompi_mpi_byte'),
    },
    ops: { sum: symbol('ompi_mpi_op_sum'), max: symbol('ompi_mpi_op_max'), min: symbol('ompi_mpi_op_min') },
    errorsReturn: symbol('ompi_mpi_errors_return'),
    inPlace: 1n,
    anySource: -1,
    sharedMemory: 0,
    noInfo: symbol('ompi_mpi_info_null'),
    statusSource: 0,
  };
}

/** The type of an array's elements. */
export function typeOf(numbers: Numbers | NativeFloats | Uint8Array): MpiType {
  if (numbers instanceof Float32Array || numbers instanceof NativeFloats) return 'float32';
  if (numbers instanceof Float64Array) return 'float64';
  return numbers instanceof Int32Array ? 'int32' : 'byte';
}

function hasSymbol(library: LibraryHandle, name: string): boolean {
  try {
    library.symbol(name);
    return true;
  } catch {
    return false;
  }
}
