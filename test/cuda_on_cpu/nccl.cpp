/**
 * libnccl: communicators and sums of float32. Processes exchange arrays through files in NCCL_ON_CPU_FOLDER, named by the
 * unique id, which they map into memory.
 *
 * As in NCCL, calls on a communicator that does not block return at once: joining and groups are done when a later
 * ncclCommGetAsyncError says so, sums run when their stream comes to them in all processes, and an abort ends them.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "library.h"

namespace cuda_on_cpu {
namespace nccl {

enum Result {
  UNHANDLED_CUDA_ERROR = 1,
  SYSTEM_ERROR = 2,
  INTERNAL_ERROR = 3,
  INVALID_ARGUMENT = 4,
  INVALID_USAGE = 5,
  REMOTE_ERROR = 6,
  IN_PROGRESS = 7,
};

const int NCCL_VERSION = 23007;
const int FLOAT32 = 7, SUM = 0;
const int MAX_RANKS = 16;

/** The struct that is passed by value. Its last bytes are a checksum of the others. */
struct UniqueId {
  unsigned char bytes[128];
};

/** The part of ncclConfig_t that all versions have. */
struct Config {
  size_t size;
  unsigned magic, version;
  int blocking;
};

/** What the processes of a communicator share; all zero at first. */
struct Shared {
  struct Member {
    std::atomic<int> process;
    int device;
  } members[MAX_RANKS];
  std::atomic<int> joined, finalized, aborted;
};

/** The beginning of the file of a sum; the arrays of all processes follow. */
struct Exchange {
  std::atomic<uint64_t> layout;
  std::atomic<int> posted, taken;
};

struct Array {
  uint64_t address;
  size_t length;
};

/** Memory that is shared through a file. */
class SharedFile {
 public:
  SharedFile(const std::string &path, size_t bytes) : path_(path), bytes_(bytes) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, (off_t)bytes) != 0) refuse(SYSTEM_ERROR, "%s: %s", path.c_str(), strerror(errno));
    memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory_ == MAP_FAILED) refuse(SYSTEM_ERROR, "%s cannot be mapped", path.c_str());
  }
  ~SharedFile() { munmap(memory_, bytes_); }
  SharedFile(const SharedFile &) = delete;
  SharedFile &operator=(const SharedFile &) = delete;

  template <class T> T *as(size_t offset = 0) const { return reinterpret_cast<T *>(static_cast<char *>(memory_) + offset); }
  void remove() const { unlink(path_.c_str()); }

 private:
  std::string path_;
  size_t bytes_;
  void *memory_;
};

struct Communicator {
  std::string path;
  int rank, size;
  bool is_blocking;
  std::unique_ptr<SharedFile> file;
  int state = IN_PROGRESS;
  bool is_joined = false, is_finalizing = false, is_aborted = false;
  uint64_t sums = 0;
  /** A group that is not queued yet. */
  std::vector<Array> arrays;
  void *stream = nullptr;

  Shared &shared() const { return *file->as<Shared>(); }
};

Handles<Communicator> communicators("communicator", 0x60000000);
int group_depth = 0;
/** Communicators with calls in the group that is open. */
std::vector<std::shared_ptr<Communicator>> in_group;
std::vector<std::string> calls;
std::string answer;

/** Keeps a line about a call, and appends it to the file NCCL_ON_CPU_LOG. */
__attribute__((format(printf, 1, 2))) void log_call(const char *text, ...) {
  char buffer[512];
  va_list values;
  va_start(values, text);
  vsnprintf(buffer, sizeof buffer, text, values);
  va_end(values);
  calls.push_back(buffer);
  const char *path = getenv("NCCL_ON_CPU_LOG");
  if (!path) return;
  if (FILE *file = fopen(format("%s.%d", path, (int)getpid()).c_str(), "a")) {
    fprintf(file, "%s\n", buffer);
    fclose(file);
  }
}

uint64_t checksum(const unsigned char *bytes, size_t count) {
  uint64_t sum = 1469598103934665603ull;
  for (size_t i = 0; i < count; i++) sum = (sum ^ bytes[i]) * 1099511628211ull;
  return sum;
}

std::string path_of(const UniqueId &id) {
  const char *folder = getenv("NCCL_ON_CPU_FOLDER");
  std::string name;
  for (int i = 0; i < 16; i++) name += format("%02x", id.bytes[i]);
  return format("%s/nccl-%s", folder ? folder : "/tmp", name.c_str());
}

/** Two processes with one GPU, as far as it shows; empty if there are none. */
std::string duplicate_gpu(const Communicator &communicator) {
  const auto &members = communicator.shared().members;
  for (int a = 0; a < communicator.size; a++)
    for (int b = a + 1; b < communicator.size; b++)
      if (members[a].device == members[b].device)
        return format("Duplicate GPU detected: rank %d and rank %d both on device %d", a, b, members[a].device);
  return "";
}

bool has_lost_member(const Communicator &communicator) {
  const Shared &shared = communicator.shared();
  if (shared.aborted) return true;
  for (int rank = 0; rank < communicator.size; rank++)
    if (kill(shared.members[rank].process, 0) != 0 && errno == ESRCH) return true;
  return false;
}

/** A fault that NCCL_ON_CPU_FAULT asks for: "hang RANK SUM", or "break RANK SUM CODE". */
bool has_fault(const char *kind, const Communicator &communicator, uint64_t sum, int *code = nullptr) {
  const char *text = getenv("NCCL_ON_CPU_FAULT");
  char found[16];
  int rank, number, result = 0;
  if (!text || sscanf(text, "%15s %d %d %d", found, &rank, &number, &result) < 3) return false;
  const bool is_due = strcmp(kind, found) == 0 && rank == communicator.rank && (uint64_t)number == sum;
  if (is_due && code) *code = result;
  return is_due;
}

/** A sum on its way. */
struct Sum {
  std::shared_ptr<Communicator> communicator;
  std::vector<Array> arrays;
  uint64_t number;
  std::unique_ptr<SharedFile> file = nullptr;

  size_t length() const {
    size_t sum = 0;
    for (const Array &array : arrays) sum += array.length;
    return sum;
  }

  float *numbers_of(int rank) const { return file->as<float>(sizeof(Exchange)) + rank * length(); }

  /** Gives the own numbers to the others. Returns whether all have done so. */
  bool is_ready() {
    if (communicator->is_aborted) return true;
    if (has_fault("hang", *communicator, number)) return false;
    if (!file) post();
    return file->as<Exchange>()->posted == communicator->size;
  }

  void post() {
    const size_t bytes = sizeof(Exchange) + communicator->size * length() * sizeof(float);
    file = std::make_unique<SharedFile>(format("%s-%llu", communicator->path.c_str(), (unsigned long long)number), bytes);
    Exchange &exchange = *file->as<Exchange>();
    std::vector<size_t> lengths;
    for (const Array &array : arrays) lengths.push_back(array.length);
    const uint64_t own = checksum(reinterpret_cast<const unsigned char *>(lengths.data()), lengths.size() * sizeof(size_t));
    uint64_t before = 0;
    if (!exchange.layout.compare_exchange_strong(before, own) && before != own) {
      // NCCL would hang, or add up other numbers.
      refuse(LAUNCH_FAILED, "sum %llu has other arrays in another process", (unsigned long long)number);
    }
    float *target = numbers_of(communicator->rank);
    for (const Array &array : arrays) {
      memcpy(target, reinterpret_cast<const void *>(array.address), array.length * sizeof(float));
      target += array.length;
    }
    exchange.posted++;
  }

  void run() {
    if (communicator->is_aborted) return;
    size_t start = 0;
    for (const Array &array : arrays) {
      auto *result = reinterpret_cast<float *>(array.address);
      for (size_t i = 0; i < array.length; i++) {
        float sum = numbers_of(0)[start + i];
        for (int rank = 1; rank < communicator->size; rank++) sum += numbers_of(rank)[start + i];
        result[i] = sum;
      }
      start += array.length;
    }
    if (++file->as<Exchange>()->taken == communicator->size) file->remove();
    file = nullptr;
  }
};

/** Queues the group of a communicator on its stream. */
void queue_group(const std::shared_ptr<Communicator> &communicator) {
  const auto sum = std::make_shared<Sum>(Sum{communicator, std::move(communicator->arrays), communicator->sums++});
  communicator->arrays.clear();
  const auto check = [sum] {
    for (const Array &array : sum->arrays)
      require_device_memory(array.address, array.length * sizeof(float), INVALID_ARGUMENT, "an array of a sum");
  };
  check();
  enqueue(stream_of(communicator->stream), Work{Work::EVENT, check, [sum] { sum->run(); }, [sum] { return sum->is_ready(); }});
}

/** Goes on with what was begun. */
void advance(const std::shared_ptr<Communicator> &communicator) {
  if (communicator->state != IN_PROGRESS) {
    if (communicator->state == 0 && has_lost_member(*communicator)) communicator->state = REMOTE_ERROR;
    return;
  }
  Shared &shared = communicator->shared();
  if (!communicator->is_joined) {
    if (shared.joined < communicator->size) return;
    communicator->is_joined = true;
    const std::string problem = duplicate_gpu(*communicator);
    if (!problem.empty()) keep_problem("ncclCommInitRankConfig", problem);
    communicator->state = problem.empty() ? 0 : INVALID_USAGE;
  } else if (communicator->is_finalizing) {
    if (shared.finalized < communicator->size) return;
    communicator->state = 0;
  } else {
    communicator->state = 0;
    if (has_fault("break", *communicator, communicator->sums, &communicator->state)) return;
    if (!communicator->arrays.empty()) queue_group(communicator);
  }
}

/** The result of a call that has begun something. */
void begun(const std::shared_ptr<Communicator> &communicator) {
  communicator->state = IN_PROGRESS;
  while (communicator->is_blocking && communicator->state == IN_PROGRESS) {
    advance(communicator);
    usleep(50);
  }
  if (communicator->state != 0) throw Refusal{communicator->state, ""};
}

std::shared_ptr<Communicator> idle(const void *handle) {
  const auto communicator = communicators.get(handle, INVALID_ARGUMENT);
  if (communicator->state == IN_PROGRESS) refuse(INVALID_ARGUMENT, "the communicator is still at work on an earlier call");
  if (communicator->state != 0) refuse(INVALID_USAGE, "the communicator has failed");
  return communicator;
}

void end_group() {
  std::vector<std::shared_ptr<Communicator>> ended;
  ended.swap(in_group);
  for (const auto &communicator : ended) begun(communicator);
}

void reset_nccl() {
  for (const auto &entry : communicators.live()) entry.second->is_aborted = true;
  communicators.clear();
  in_group.clear();
  group_depth = 0;
  calls.clear();
}

}  // namespace nccl
}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;
using namespace cuda_on_cpu::nccl;

EXPORTED int ncclGetVersion(int *version) {
  return call(__func__, [&] {
    if (!version) refuse(INVALID_ARGUMENT, "the result is null");
    *version = NCCL_VERSION;
  });
}

EXPORTED int ncclGetUniqueId(UniqueId *id) {
  return call(__func__, [&] {
    if (!id) refuse(INVALID_ARGUMENT, "the result is null");
    std::random_device random;
    for (unsigned char &byte : id->bytes) byte = (unsigned char)random();
    const uint64_t sum = checksum(id->bytes, 120);
    memcpy(id->bytes + 120, &sum, 8);
    log_call("ncclGetUniqueId");
  });
}

EXPORTED int ncclCommInitRankConfig(void **result, int size, UniqueId id, int rank, const Config *config) {
  return call(__func__, [&] {
    if (!result || !config) refuse(INVALID_ARGUMENT, "a pointer is null");
    const uint64_t sum = checksum(id.bytes, 120);
    if (memcmp(id.bytes + 120, &sum, 8) != 0) refuse(INVALID_ARGUMENT, "the unique id is not whole");
    if (size < 1 || size > MAX_RANKS || rank < 0 || rank >= size) refuse(INVALID_ARGUMENT, "rank %d of %d", rank, size);
    if (config->magic != 0xcafebeef || config->version < 21400 || config->size < 20) {
      refuse(INVALID_ARGUMENT, "the configuration has no beginning that NCCL knows");
    }
    if (config->blocking != 0 && config->blocking != 1) refuse(INVALID_ARGUMENT, "blocking is %d", config->blocking);
    const auto made = std::make_shared<Communicator>();
    made->path = path_of(id);
    made->rank = rank;
    made->size = size;
    made->is_blocking = config->blocking == 1;
    const int device = current_device();
    made->file = std::make_unique<SharedFile>(made->path, sizeof(Shared));
    Shared &shared = made->shared();
    if (shared.members[rank].process) refuse(INVALID_USAGE, "rank %d has joined already", rank);
    shared.members[rank].device = device;
    shared.members[rank].process = (int)getpid();
    shared.joined++;
    *result = communicators.add(made);
    log_call("ncclCommInitRankConfig rank=%d size=%d blocking=%d device=%d", rank, size, config->blocking, device);
    begun(made);
  });
}

EXPORTED int ncclCommGetAsyncError(void *handle, int *state) {
  return call(__func__, [&] {
    const auto communicator = communicators.get(handle, INVALID_ARGUMENT);
    if (!state) refuse(INVALID_ARGUMENT, "the result is null");
    // What a call has begun goes on after the first look at it.
    *state = communicator->state;
    advance(communicator);
    if (communicator->state != 0 && communicator->state != IN_PROGRESS) *state = communicator->state;
  });
}

EXPORTED int ncclCommFinalize(void *handle) {
  return call(__func__, [&] {
    const auto communicator = idle(handle);
    communicator->is_finalizing = true;
    communicator->shared().finalized++;
    log_call("ncclCommFinalize");
    begun(communicator);
  });
}

EXPORTED int ncclCommDestroy(void *handle) {
  return call(__func__, [&] {
    const auto communicator = idle(handle);
    if (!communicator->is_finalizing) refuse(INVALID_USAGE, "the communicator was not finalized");
    communicator->file->remove();
    communicators.destroy(handle, INVALID_ARGUMENT);
    log_call("ncclCommDestroy");
  });
}

EXPORTED int ncclCommAbort(void *handle) {
  return call(__func__, [&] {
    const auto communicator = communicators.get(handle, INVALID_ARGUMENT);
    communicator->is_aborted = true;
    communicator->shared().aborted = 1;
    communicator->file->remove();
    communicators.destroy(handle, INVALID_ARGUMENT);
    log_call("ncclCommAbort");
  });
}

EXPORTED int ncclGroupStart() {
  return call(__func__, [&] {
    group_depth++;
    log_call("ncclGroupStart");
  });
}

EXPORTED int ncclGroupEnd() {
  return call(__func__, [&] {
    if (group_depth == 0) refuse(INVALID_USAGE, "no group has started");
    log_call("ncclGroupEnd");
    if (--group_depth == 0) end_group();
  });
}

EXPORTED int ncclAllReduce(const void *from, void *to, size_t count, int type, int op, void *handle, void *stream) {
  return call(__func__, [&] {
    const auto communicator = idle(handle);
    if (type != FLOAT32 || op != SUM || from != to) refuse(INVALID_ARGUMENT, "the stand-in only sums float32 in place");
    if (count == 0) refuse(INVALID_ARGUMENT, "an array is empty");
    const uint64_t address = reinterpret_cast<uint64_t>(to);
    require_device_memory(address, count * sizeof(float), INVALID_ARGUMENT, "an array of a sum");
    if (!communicator->arrays.empty() && communicator->stream != stream) refuse(INVALID_USAGE, "a group has two streams");
    communicator->stream = stream;
    communicator->arrays.push_back({address, count});
    log_call("ncclAllReduce count=%zu type=%d op=%d stream=%p", count, type, op, stream);
    bool is_known = false;
    for (const auto &known : in_group) is_known = is_known || known == communicator;
    if (!is_known) in_group.push_back(communicator);
    if (group_depth == 0) end_group();
  });
}

EXPORTED const char *ncclGetErrorString(int code) {
  switch (code) {
    case 0: return "no error";
    case UNHANDLED_CUDA_ERROR: return "unhandled cuda error";
    case SYSTEM_ERROR: return "unhandled system error";
    case INTERNAL_ERROR: return "internal error";
    case INVALID_ARGUMENT: return "invalid argument";
    case INVALID_USAGE: return "invalid usage";
    case REMOTE_ERROR: return "remote process exited or there was a network error";
    case IN_PROGRESS: return "NCCL operation in progress";
    default: return "unknown result code";
  }
}

EXPORTED const char *ncclGetLastError(void *) { return (nccl::answer = kept_problem()).c_str(); }

/** The calls so far, one in a line. The text lives until the next call. */
EXPORTED const char *ncclOnCpuCalls() {
  nccl::answer.clear();
  for (const std::string &line : nccl::calls) nccl::answer += line + "\n";
  return nccl::answer.c_str();
}

/** Lets all communicators of this process fail, as NCCL's own threads may find out. */
EXPORTED void ncclOnCpuBreak(int code) {
  for (const auto &entry : communicators.live()) entry.second->state = code;
}
