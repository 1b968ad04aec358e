/** libcuda: initialization, devices, contexts and error texts. */
#include <dlfcn.h>

#include <cstdio>

#include "library.h"

namespace cuda_on_cpu {
namespace {

const int DRIVER_VERSION = 13000;
const char *const DEVICE_NAME = "CUDA on a CPU";

struct Context {
  int device;
  int retained;
};

bool is_initialized = false;
/** The error that has made the context useless; 0 without. */
int broken_code = 0;
std::string broken_problem;
Handles<Context> contexts("context", 0x10000);
/** The handles of the devices' primary contexts; null without. */
std::map<int, void *> primary_contexts;
thread_local void *current_context = nullptr;

void require_initialized() {
  if (!is_initialized) refuse(NOT_INITIALIZED, "cuInit has not been called");
}

void require_device(int device) {
  require_initialized();
  if (device < 0 || device >= settings.devices) {
    refuse(INVALID_DEVICE, "there is no device %d, only %d", device, settings.devices);
  }
}

void require_pointer(const void *pointer, const char *name) {
  if (!pointer) refuse(INVALID_VALUE, "%s is null", name);
}

/** CUdevice_attribute → value, those of an A100. The capability is set apart. */
const std::map<int, int> ATTRIBUTES = {
    {1, 1024},      // MAX_THREADS_PER_BLOCK
    {2, 1024},      // MAX_BLOCK_DIM_X
    {3, 1024},      // MAX_BLOCK_DIM_Y
    {4, 64},        // MAX_BLOCK_DIM_Z
    {5, 2147483647},  // MAX_GRID_DIM_X
    {6, 65535},     // MAX_GRID_DIM_Y
    {7, 65535},     // MAX_GRID_DIM_Z
    {8, 49152},     // MAX_SHARED_MEMORY_PER_BLOCK
    {9, 65536},     // TOTAL_CONSTANT_MEMORY
    {10, 32},       // WARP_SIZE
    {12, 65536},    // MAX_REGISTERS_PER_BLOCK
    {13, 1410000},  // CLOCK_RATE, kHz
    {14, 512},      // TEXTURE_ALIGNMENT
    {16, 108},      // MULTIPROCESSOR_COUNT
    {17, 0},        // KERNEL_EXEC_TIMEOUT
    {18, 0},        // INTEGRATED
    {19, 1},        // CAN_MAP_HOST_MEMORY
    {20, 0},        // COMPUTE_MODE
    {31, 1},        // CONCURRENT_KERNELS
    {32, 1},        // ECC_ENABLED
    {33, 1},        // PCI_BUS_ID
    {34, 0},        // PCI_DEVICE_ID
    {35, 0},        // TCC_DRIVER
    {36, 1215000},  // MEMORY_CLOCK_RATE, kHz
    {37, 5120},     // GLOBAL_MEMORY_BUS_WIDTH, bits
    {38, 41943040},  // L2_CACHE_SIZE
    {39, 2048},     // MAX_THREADS_PER_MULTIPROCESSOR
    {40, 3},        // ASYNC_ENGINE_COUNT
    {41, 1},        // UNIFIED_ADDRESSING
    {50, 0},        // PCI_DOMAIN_ID
    {81, 167936},   // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    {82, 65536},    // MAX_REGISTERS_PER_MULTIPROCESSOR
    {83, 1},        // MANAGED_MEMORY
    {95, 1},        // COOPERATIVE_LAUNCH
    {97, 166912},   // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    {106, 32},      // MAX_BLOCKS_PER_MULTIPROCESSOR
    {111, 1024},    // RESERVED_SHARED_MEMORY_PER_BLOCK
    {115, 1},       // MEMORY_POOLS_SUPPORTED
};

struct ErrorText {
  const char *name, *text;
};

const std::map<int, ErrorText> ERRORS = {
    {CUDA_SUCCESS, {"CUDA_SUCCESS", "no error"}},
    {INVALID_VALUE, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {OUT_OF_MEMORY, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {NOT_INITIALIZED, {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"}},
    {NO_DEVICE, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
    {INVALID_DEVICE, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
    {INVALID_IMAGE, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
    {INVALID_CONTEXT, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
    {NO_BINARY_FOR_GPU,
     {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"}},
    {INVALID_PTX, {"CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"}},
    {INVALID_HANDLE, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
    {ILLEGAL_STATE, {"CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"}},
    {NOT_FOUND, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
    {NOT_READY, {"CUDA_ERROR_NOT_READY", "device not ready"}},
    {ILLEGAL_ADDRESS, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
    {LAUNCH_OUT_OF_RESOURCES,
     {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"}},
    {MISALIGNED_ADDRESS, {"CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"}},
    {LAUNCH_FAILED, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
    {CAPTURE_UNSUPPORTED,
     {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}},
    {CAPTURE_INVALIDATED,
     {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"}},
    {GRAPH_UPDATE_FAILURE,
     {"CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graph update was not performed"}},
    {UNKNOWN, {"CUDA_ERROR_UNKNOWN", "unknown error"}},
};

/** Ends a primary context with everything in it. */
void end_context(int device) {
  drain();
  contexts.destroy(primary_contexts[device]);
  primary_contexts.erase(device);
  if (primary_contexts.empty()) {
    reset_streams();
    reset_modules();
    counters.leaked_allocations += free_all_memory();
    broken_code = 0;
  }
}

}  // namespace

void require_context() {
  require_initialized();
  if (!current_context) refuse(INVALID_CONTEXT, "no context is current in this thread");
  contexts.get(current_context, INVALID_CONTEXT);
  if (broken_code) refuse(broken_code, "an earlier error has made the context useless: %s", broken_problem.c_str());
}

int current_device() {
  require_context();
  return contexts.get(current_context)->device;
}

void break_context(const Refusal &refusal) {
  broken_code = refusal.code;
  broken_problem = refusal.problem;
}

void reset_driver() {
  is_initialized = false;
  broken_code = 0;
  contexts.clear();
  primary_contexts.clear();
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED int cuInit(unsigned flags) {
  return call(__func__, [&] {
    if (flags != 0) refuse(INVALID_VALUE, "flags must be 0");
    if (settings.devices == 0) refuse(NO_DEVICE, "CUDA_ON_CPU_DEVICES is 0");
    is_initialized = true;
  });
}

EXPORTED int cuDriverGetVersion(int *version) {
  return call(__func__, [&] {
    require_pointer(version, "version");
    *version = DRIVER_VERSION;
  });
}

EXPORTED int cuDeviceGetCount(int *count) {
  return call(__func__, [&] {
    require_initialized();
    require_pointer(count, "count");
    *count = settings.devices;
  });
}

EXPORTED int cuDeviceGet(int *device, int ordinal) {
  return call(__func__, [&] {
    require_device(ordinal);
    require_pointer(device, "device");
    *device = ordinal;
  });
}

EXPORTED int cuDeviceGetName(char *name, int length, int device) {
  return call(__func__, [&] {
    require_device(device);
    require_pointer(name, "name");
    snprintf(name, length, "%s", DEVICE_NAME);
  });
}

EXPORTED int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
  return call(__func__, [&] {
    require_device(device);
    require_pointer(uuid, "uuid");
    for (int i = 0; i < 16; i++) uuid[i] = (unsigned char)(i == 15 ? device : 0xc0 + i);
  });
}

EXPORTED int cuDeviceGetPCIBusId(char *text, int length, int device) {
  return call(__func__, [&] {
    require_device(device);
    require_pointer(text, "pciBusId");
    if (length < 13) refuse(INVALID_VALUE, "a PCI bus id needs 13 bytes, not %d", length);
    snprintf(text, length, "0000:%02x:00.0", device + 1);
  });
}

EXPORTED int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  return call(__func__, [&] {
    require_device(device);
    require_pointer(bytes, "bytes");
    *bytes = settings.memory_bytes;
  });
}

EXPORTED int cuDeviceGetAttribute(int *value, int attribute, int device) {
  return call(__func__, [&] {
    require_device(device);
    require_pointer(value, "pi");
    const auto found = ATTRIBUTES.find(attribute);
    if (attribute == 75) *value = settings.capability_major;
    else if (attribute == 76) *value = settings.capability_minor;
    else if (attribute == 33) *value = device + 1;
    else if (found != ATTRIBUTES.end()) *value = found->second;
    else refuse(INVALID_VALUE, "the stand-in has no device attribute %d", attribute);
  });
}

EXPORTED int cuDevicePrimaryCtxRetain(void **context, int device) {
  return call(__func__, [&] {
    require_device(device);
    require_pointer(context, "pctx");
    void *&handle = primary_contexts[device];
    if (!handle) handle = contexts.add(std::make_shared<Context>(Context{device, 0}));
    contexts.get(handle)->retained++;
    *context = handle;
  });
}

EXPORTED int cuDevicePrimaryCtxRelease_v2(int device) {
  return call(__func__, [&] {
    require_device(device);
    if (!primary_contexts.count(device)) {
      refuse(INVALID_CONTEXT, "the primary context of device %d is released more often than retained", device);
    }
    if (--contexts.get(primary_contexts[device])->retained == 0) end_context(device);
  });
}

EXPORTED int cuCtxSetCurrent(void *context) {
  return call(__func__, [&] {
    require_initialized();
    if (context) contexts.get(context, INVALID_CONTEXT);
    current_context = context;
  });
}

EXPORTED int cuCtxGetCurrent(void **context) {
  return call(__func__, [&] {
    require_initialized();
    require_pointer(context, "pctx");
    *context = current_context;
  });
}

EXPORTED int cuCtxSynchronize() {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    counters.synchronizations++;
    drain();
    require_context();
  });
}

EXPORTED int cuGetErrorName(int error, const char **name) {
  return call(__func__, [&] {
    require_pointer(name, "pStr");
    const auto found = ERRORS.find(error);
    *name = found == ERRORS.end() ? nullptr : found->second.name;
    if (!*name) throw Refusal{INVALID_VALUE, ""};
  });
}

EXPORTED int cuGetErrorString(int error, const char **text) {
  return call(__func__, [&] {
    require_pointer(text, "pStr");
    const auto found = ERRORS.find(error);
    *text = found == ERRORS.end() ? nullptr : found->second.text;
    if (!*text) throw Refusal{INVALID_VALUE, ""};
  });
}
