/** libcuda: modules, functions and launches. */
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <numeric>
#include <thread>

#include "library.h"

namespace cuda_on_cpu {
namespace {

const unsigned MOST_STATIC_SHARED_BYTES = 48 << 10;
const unsigned MOST_THREADS = 1024;
const char MAGIC[8] = {'C', 'U', 'D', 'A', 'O', 'N', 'C', 'P'};

/** What a cubin of the stand-in starts with; the name and the source follow, each with its end. */
struct ImageHeader {
  char magic[8];
  uint32_t interface_version, architecture;
  uint64_t bytes;
};

/** A compiled source. Each operating system thread uses a copy of its own, since indices and shared memory are static variables. */
struct Module {
  std::string path;
  std::vector<void *> copies;
  /** The files of all copies but the first. */
  std::vector<int> files;

  ~Module() {
    for (void *copy : copies) dlclose(copy);
    for (const int file : files) close(file);
  }
};

struct Function {
  std::shared_ptr<Module> module;
  std::string name;
  /** One for each copy of the module. */
  std::vector<const Kernel *> kernels;
};

struct Launch {
  std::shared_ptr<Function> function;
  unsigned grid[3], block[3];
  std::vector<char> arguments;
};

Handles<Module> modules("module", 0x3000000);
Handles<Function> functions("function", 0x8000000);
std::vector<std::unique_ptr<BlockRunner>> runners;

void *open_library(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) refuse(INVALID_PTX, "the compiled kernels cannot be loaded: %s", dlerror());
  auto *waiting = static_cast<const Waiting **>(dlsym(library, "cuda_on_cpu_waiting"));
  *waiting = &WAITING;
  return library;
}

/**
 * Loads a module's library once more, with variables of its own. The loader recognizes a library by the name and by the inode of
 * its file, so that the file stays open while the name must not be used again.
 */
void add_copy(Module &module) {
  std::ifstream source(module.path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(source)), {});
  const int file = memfd_create("kernels", MFD_CLOEXEC);
  module.files.push_back(file);
  if (write(file, bytes.data(), bytes.size()) != (ssize_t)bytes.size()) {
    refuse(OUT_OF_MEMORY, "there is no memory for a copy of %s", module.path.c_str());
  }
  module.copies.push_back(open_library(format("/proc/self/fd/%d", file)));
}

const Kernel *kernel_of(Function &function, unsigned copy) {
  Module &module = *function.module;
  while (module.copies.size() <= copy) add_copy(module);
  while (function.kernels.size() <= copy) {
    const std::string symbol = "cuda_on_cpu_kernel_" + function.name;
    const auto *kernel = static_cast<const Kernel *>(dlsym(module.copies[function.kernels.size()], symbol.c_str()));
    if (!kernel) refuse(NOT_FOUND, "the module has no kernel %s", function.name.c_str());
    function.kernels.push_back(kernel);
  }
  return function.kernels[copy];
}

/** Reads name and source of an image and the architecture that it was compiled for. */
struct Image {
  uint32_t architecture;
  std::string name, source;
};

Image read_image(const void *image) {
  if (!image) refuse(INVALID_VALUE, "the image is null");
  ImageHeader header;
  memcpy(&header, image, sizeof header.magic);
  if (memcmp(header.magic, MAGIC, sizeof MAGIC) != 0) {
    refuse(INVALID_IMAGE, "the image was not made by the stand-in for NVRTC");
  }
  memcpy(&header, image, sizeof header);
  if (header.interface_version != INTERFACE_VERSION) refuse(INVALID_IMAGE, "the image has another version");
  const char *text = static_cast<const char *>(image) + sizeof header;
  const std::string name = text;
  return {header.architecture, name, text + name.size() + 1};
}

/** A cubin runs on GPUs of the same major and the same or a higher minor compute capability. */
void require_architecture(uint32_t architecture) {
  const int major = (int)architecture / 10, minor = (int)architecture % 10;
  if (major == settings.capability_major && minor <= settings.capability_minor) return;
  refuse(NO_BINARY_FOR_GPU, "the image is for sm_%u, the device has compute capability %d.%d", architecture,
         settings.capability_major, settings.capability_minor);
}

unsigned bytes_of_arguments(const Kernel &kernel) {
  if (kernel.parameter_count == 0) return 0;
  const Parameter &last = kernel.parameters[kernel.parameter_count - 1];
  return last.offset + last.bytes;
}

enum ExtraOption : uintptr_t { EXTRA_END = 0, EXTRA_BUFFER = 1, EXTRA_SIZE = 2 };

/** Reads arguments that the caller has packed; padding behind the last is allowed. */
std::vector<char> packed_arguments(const Kernel &kernel, void **extra) {
  const char *buffer = nullptr;
  const size_t *size = nullptr;
  for (; *extra; extra += 2) {
    const auto option = reinterpret_cast<uintptr_t>(extra[0]);
    if (option == EXTRA_BUFFER) buffer = static_cast<const char *>(extra[1]);
    else if (option == EXTRA_SIZE) size = static_cast<const size_t *>(extra[1]);
    else refuse(INVALID_VALUE, "extra has the unknown option %zu", (size_t)option);
  }
  if (!buffer || !size) refuse(INVALID_VALUE, "extra lacks the buffer or its size");
  const unsigned bytes = bytes_of_arguments(kernel);
  if (*size < bytes || *size >= bytes + 8) {
    refuse(INVALID_VALUE, "kernel %s has %u bytes of arguments, the buffer %zu", kernel.name, bytes, *size);
  }
  return std::vector<char>(buffer, buffer + bytes);
}

std::vector<char> listed_arguments(const Kernel &kernel, void **parameters) {
  std::vector<char> packed(bytes_of_arguments(kernel));
  for (unsigned i = 0; i < kernel.parameter_count; i++) {
    const Parameter &parameter = kernel.parameters[i];
    if (!parameters || !parameters[i]) refuse(INVALID_VALUE, "argument %u of kernel %s is missing", i, kernel.name);
    memcpy(packed.data() + parameter.offset, parameters[i], parameter.bytes);
  }
  return packed;
}

void check_size(const Launch &launch, const Kernel &kernel) {
  const unsigned *grid = launch.grid, *block = launch.block;
  const std::string shape =
      format("grid (%u, %u, %u) of blocks (%u, %u, %u)", grid[0], grid[1], grid[2], block[0], block[1], block[2]);
  if (!grid[0] || !grid[1] || !grid[2] || !block[0] || !block[1] || !block[2]) {
    refuse(INVALID_VALUE, "kernel %s: %s is empty", kernel.name, shape.c_str());
  }
  if (grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535) {
    refuse(INVALID_VALUE, "kernel %s: %s is larger than 2147483647 × 65535 × 65535", kernel.name, shape.c_str());
  }
  const uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
  if (block[0] > MOST_THREADS || block[1] > MOST_THREADS || block[2] > 64 || threads > MOST_THREADS) {
    refuse(INVALID_VALUE, "kernel %s: %s has more than %u threads in a block", kernel.name, shape.c_str(), MOST_THREADS);
  }
  if (threads > kernel.launch_bounds) {
    refuse(LAUNCH_OUT_OF_RESOURCES, "kernel %s: %llu threads in a block exceed its launch bounds of %u", kernel.name,
           (unsigned long long)threads, kernel.launch_bounds);
  }
}

void check_pointers(const Launch &launch) {
  const Kernel &kernel = *launch.function->kernels[0];
  for (unsigned i = 0; i < kernel.parameter_count; i++) {
    if (!kernel.parameters[i].is_pointer) continue;
    uint64_t address;
    memcpy(&address, launch.arguments.data() + kernel.parameters[i].offset, sizeof address);
    const std::string what = format("argument %u of kernel %s", i, kernel.name);
    require_device_memory(address, 1, ILLEGAL_ADDRESS, what.c_str());
  }
}

/** A step that visits each of `count` things once, in an order that depends on the seed. */
struct Order {
  uint64_t first, step;

  Order(uint64_t count, uint64_t seed) : first(0), step(1) {
    if (seed == 0 || count < 2) return;
    uint64_t state = seed * 0x9e3779b97f4a7c15 + count;
    const auto next = [&] { return state = (state ^ state >> 29) * 0xbf58476d1ce4e5b9 + 1; };
    first = (next() >> 16) % count;
    do step = 1 + (next() >> 16) % (count - 1 ? count - 1 : 1);
    while (std::gcd(step, count) != 1);
  }
};

/** Runs the blocks number next, next + 1, … of the order until none is left or one fails. */
void run_blocks(const Launch &launch, unsigned thread, std::atomic<uint64_t> &next) {
  const Kernel &kernel = *launch.function->kernels[thread];
  const unsigned *grid = launch.grid, *block = launch.block;
  const uint64_t blocks = (uint64_t)grid[0] * grid[1] * grid[2];
  const Order order(blocks, settings.seed), threads((uint64_t)block[0] * block[1] * block[2], settings.seed);
  Place place = {{}, {block[0], block[1], block[2]}, {grid[0], grid[1], grid[2]}, (unsigned)threads.first,
                 (unsigned)threads.step};
  for (uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
    const uint64_t index = (unsigned __int128)i * order.step % blocks + order.first;
    const uint64_t b = index < blocks ? index : index - blocks;
    place.index[0] = (unsigned)(b % grid[0]);
    place.index[1] = (unsigned)(b / grid[0] % grid[1]);
    place.index[2] = (unsigned)(b / grid[0] / grid[1]);
    runners[thread]->run(kernel, place, launch.arguments.data());
  }
}

void run_launch(const Launch &launch) {
  const uint64_t blocks = (uint64_t)launch.grid[0] * launch.grid[1] * launch.grid[2];
  const unsigned threads = (unsigned)std::min<uint64_t>(settings.threads, blocks);
  while (runners.size() < threads) runners.push_back(std::make_unique<BlockRunner>());
  kernel_of(*launch.function, threads - 1);
  std::atomic<uint64_t> next{0};
  if (threads == 1) return run_blocks(launch, 0, next);
  std::vector<std::unique_ptr<Refusal>> failures(threads);
  const auto work = [&](unsigned thread) {
    try {
      run_blocks(launch, thread, next);
    } catch (const Refusal &refusal) {
      failures[thread] = std::make_unique<Refusal>(refusal);
      next = blocks;
    }
  };
  std::vector<std::thread> others;
  for (unsigned thread = 1; thread < threads; thread++) others.emplace_back(work, thread);
  work(0);
  for (auto &other : others) other.join();
  for (const auto &failure : failures) {
    if (failure) throw *failure;
  }
}

unsigned shared_bytes(const Kernel &kernel) { return (unsigned)(kernel.shared_end - kernel.shared_begin); }

void load_module(void **module, const void *image) {
  require_context();
  forbid_while_capturing();
  if (!module) refuse(INVALID_VALUE, "the result is null");
  const Image read = read_image(image);
  require_architecture(read.architecture);
  const Compilation compilation = compile_kernels(read.source, read.name);
  if (!compilation.succeeded) refuse(INVALID_PTX, "g++ refuses the source: %s", compilation.log.c_str());
  const auto loaded = std::make_shared<Module>();
  loaded->path = compilation.path;
  loaded->copies.push_back(open_library(compilation.path));
  *module = modules.add(loaded);
  counters.modules_loaded++;
}

}  // namespace

std::string make_image(int architecture, const std::string &name, const std::string &source) {
  ImageHeader header;
  memcpy(header.magic, MAGIC, sizeof MAGIC);
  header.interface_version = INTERFACE_VERSION;
  header.architecture = (uint32_t)architecture;
  header.bytes = sizeof header + name.size() + source.size() + 2;
  std::string image(reinterpret_cast<const char *>(&header), sizeof header);
  image.append(name.c_str(), name.size() + 1);
  image.append(source.c_str(), source.size() + 1);
  return image;
}

void reset_modules() {
  functions.clear();
  modules.clear();
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED int cuModuleLoadDataEx(void **module, const void *image, unsigned, int *, void **) {
  return call(__func__, [&] { load_module(module, image); });
}

EXPORTED int cuModuleLoadData(void **module, const void *image) {
  return call(__func__, [&] { load_module(module, image); });
}

EXPORTED int cuModuleUnload(void *module) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    drain();
    modules.destroy(module);
  });
}

EXPORTED int cuModuleGetFunction(void **handle, void *module, const char *name) {
  return call(__func__, [&] {
    require_context();
    const auto found = modules.get(module);
    if (!handle || !name) refuse(INVALID_VALUE, "the result or the name is null");
    const auto function = std::make_shared<Function>(Function{found, name, {}});
    const Kernel &kernel = *kernel_of(*function, 0);
    if (shared_bytes(kernel) > MOST_STATIC_SHARED_BYTES) {
      refuse(INVALID_PTX, "kernel %s uses %u bytes of static shared memory, more than %u", name, shared_bytes(kernel),
             MOST_STATIC_SHARED_BYTES);
    }
    *handle = functions.add(function);
  });
}

/** MAX_DYNAMIC_SHARED_SIZE_BYTES and PREFERRED_SHARED_MEMORY_CARVEOUT are accepted and ignored. */
EXPORTED int cuFuncSetAttribute(void *function, int attribute, int) {
  return call(__func__, [&] {
    require_context();
    functions.get(function);
    if (attribute != 8 && attribute != 9) refuse(INVALID_VALUE, "function attribute %d cannot be set", attribute);
  });
}

EXPORTED int cuFuncGetAttribute(int *value, int attribute, void *function) {
  return call(__func__, [&] {
    require_context();
    if (!value) refuse(INVALID_VALUE, "the result is null");
    const Kernel &kernel = *functions.get(function)->kernels[0];
    const int version = 10 * settings.capability_major + settings.capability_minor;
    switch (attribute) {
      case 0: *value = (int)kernel.launch_bounds; break;       // MAX_THREADS_PER_BLOCK
      case 1: *value = (int)shared_bytes(kernel); break;       // SHARED_SIZE_BYTES
      case 2: case 3: *value = 0; break;                       // CONST_SIZE_BYTES, LOCAL_SIZE_BYTES
      case 4: *value = 32; break;                              // NUM_REGS
      case 5: case 6: *value = version; break;                 // PTX_VERSION, BINARY_VERSION
      case 8: *value = (int)(MOST_STATIC_SHARED_BYTES - shared_bytes(kernel)); break;  // MAX_DYNAMIC_SHARED_SIZE_BYTES
      default: refuse(INVALID_VALUE, "the stand-in has no function attribute %d", attribute);
    }
  });
}

EXPORTED int cuLaunchKernel(void *handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                            unsigned block_y, unsigned block_z, unsigned shared, void *stream_handle, void **parameters,
                            void **extra) {
  return call(__func__, [&] {
    require_context();
    const auto function = functions.get(handle);
    const auto stream = stream_of(stream_handle);
    const Kernel &kernel = *function->kernels[0];
    const auto launch = std::make_shared<Launch>();
    *launch = {function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, {}};
    check_size(*launch, kernel);
    if (shared) refuse(INVALID_VALUE, "kernel %s: the stand-in has no dynamic shared memory", kernel.name);
    if (parameters && extra) refuse(INVALID_VALUE, "kernel %s: arguments come both ways", kernel.name);
    launch->arguments = extra ? packed_arguments(kernel, extra) : listed_arguments(kernel, parameters);
    check_pointers(*launch);
    enqueue(stream, Work{Work::KERNEL, [launch] { check_pointers(*launch); }, [launch] { run_launch(*launch); }});
  });
}
