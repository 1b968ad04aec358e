/** What compiled kernels and the library that runs them know of each other. */
#pragma once

namespace cuda_on_cpu {

/** Raised when the structs below change, so that libraries of kernels in a cache are not used with others. */
constexpr unsigned INTERFACE_VERSION = 1;

/** Where fibers wait. `line` is the place in the source, which must be the same for all that wait together. */
struct Waiting {
  void (*wait_for_block)(int line);
  void (*wait_for_warp)(int line);
  /** Gives `bits` to the other lanes of the warp, and returns those of lane `from`. */
  unsigned (*shuffle)(int line, unsigned mask, unsigned bits, unsigned from);
};

/** Where a block lies in its grid, and the order of its threads: first, first + step, … modulo their number. */
struct Place {
  unsigned index[3], block[3], grid[3];
  unsigned first, step;
};

struct Parameter {
  unsigned bytes, alignment, offset;
  bool is_pointer;
};

/** A kernel, as the symbol `cuda_on_cpu_kernel_NAME` of its library. */
struct Kernel {
  const char *name;
  unsigned launch_bounds;
  const Parameter *parameters;
  unsigned parameter_count;
  /** Static shared memory; both null if there is none, or in the builds with sanitizers. */
  char *shared_begin, *shared_end;
  /** Runs a whole block; null if the kernel has barriers. */
  void (*run_block)(const Place &, const char *arguments);
  /** Runs one thread; null if the kernel has no barriers. */
  void (*run_thread)(const Place &, unsigned thread, const char *arguments);
};

}  // namespace cuda_on_cpu
