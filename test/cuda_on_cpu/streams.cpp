/** libcuda: streams, events, stream capture and graphs. */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <random>
#include <set>
#include <thread>

#include "library.h"

namespace cuda_on_cpu {

struct Capture {
  std::vector<Work> works;
  int mode;
  std::thread::id thread;
  bool is_invalid;
};

/** A work in a stream, with its place in the order of the calls. */
struct Queued {
  Work work;
  uint64_t position;
};

struct Stream {
  std::deque<Queued> queue;
  /** Place of the last work. */
  uint64_t last = 0;
  unsigned queries = 0;
  std::unique_ptr<Capture> capture;
};

namespace {

using Clock = std::chrono::steady_clock;

enum CaptureMode { GLOBAL, THREAD_LOCAL, RELAXED };
/** Queries of an event or a stream that find it not ready before the work runs. */
const unsigned QUERIES_UNTIL_READY = 1;

struct Event {
  bool has_timing = true;
  uint64_t position = 0;
  unsigned queries = 0;
  bool is_recorded = false;
  Clock::time_point time;
};

struct Graph {
  std::vector<Work> works;
};

/** Works are numbered from 1 in the order of the calls. */
uint64_t queued = 0;
/** The places of those that have not run. */
std::set<uint64_t> unfinished;
/** Streams with work. */
std::vector<std::shared_ptr<Stream>> busy;

Handles<Stream> streams("stream", 0x20000);
Handles<Event> events("event", 0x1000000);
Handles<Graph> graphs("graph", 0x40000000);
Handles<Graph> executables("executable graph", 0x50000000);
std::shared_ptr<Stream> default_stream = std::make_shared<Stream>();

void count_queued(const Work &work) {
  if (work.kind == Work::KERNEL) counters.launches++;
  if (work.kind == Work::PRODUCT) counters.products++;
  if (work.kind == Work::PLAN) counters.plans++;
  if (work.kind == Work::COPY) counters.copies++;
  if (work.kind == Work::MEMSET) counters.memsets++;
}

bool is_done(uint64_t position) { return unfinished.count(position) == 0; }

/** Drops all work. */
void clear_queues() {
  for (const auto &stream : busy) stream->queue.clear();
  busy.clear();
  unfinished.clear();
}

/** Runs a work. A failure breaks the context, and what is left is dropped. */
void run(const Work &work) {
  try {
    work.run();
  } catch (const Refusal &refusal) {
    keep_problem("asynchronous error", refusal.problem);
    break_context(refusal);
    clear_queues();
    throw Refusal{refusal.code, ""};
  }
}

/**
 * Runs the next work of a stream, of the one whose work is the oldest; with CUDA_ON_CPU_SEED, of any one. Returns false if all
 * streams wait.
 */
bool run_one() {
  static std::minstd_rand random(1);
  const size_t count = busy.size(), start = settings.seed && count > 1 ? random() % count : 0;
  std::shared_ptr<Stream> next;
  for (size_t i = 0; i < count; i++) {
    const auto &stream = busy[(start + i) % count];
    const Queued &head = stream->queue.front();
    const bool is_better = !next || (!settings.seed && head.position < next->queue.front().position);
    if (is_better && (!head.work.is_ready || head.work.is_ready())) next = stream;
  }
  if (!next) return false;
  const Queued head = std::move(next->queue.front());
  next->queue.pop_front();
  if (next->queue.empty()) busy.erase(std::find(busy.begin(), busy.end(), next));
  unfinished.erase(head.position);
  run(head.work);
  return true;
}

/** Runs work until one is done, or until all streams wait. */
void run_up_to(uint64_t position) {
  while (!is_done(position) && run_one()) {
  }
}

/** Waits for a work. */
void drain_to(uint64_t position) {
  for (;;) {
    run_up_to(position);
    if (is_done(position)) return;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

/** Whether a work has run. The first queries find that it has not. */
bool is_ready(uint64_t position, unsigned &queries) {
  if (is_done(position)) return true;
  if (queries++ < QUERIES_UNTIL_READY) return false;
  run_up_to(position);
  return is_done(position);
}

void push(const std::shared_ptr<Stream> &stream, Work work) {
  if (stream->queue.empty()) busy.push_back(stream);
  stream->last = ++queued;
  stream->queue.push_back({std::move(work), queued});
  unfinished.insert(queued);
  stream->queries = 0;
  while (unfinished.size() > settings.queue_length && run_one()) {
  }
}

/** Runs before calls that wait for a stream or ask it. */
void require_not_capturing(Stream &stream) {
  if (!stream.capture) return forbid_while_capturing();
  stream.capture->is_invalid = true;
  refuse(CAPTURE_UNSUPPORTED, "the stream is capturing");
}

}  // namespace

std::shared_ptr<Stream> stream_of(void *handle) { return handle ? streams.get(handle) : default_stream; }

bool is_capturing(const Stream &stream) { return stream.capture != nullptr; }

void enqueue(const std::shared_ptr<Stream> &stream, Work work) {
  if (settings.is_idle && work.kind != Work::COPY && work.kind != Work::EVENT) work.run = [] {};
  if (!stream->capture) {
    if (stream == default_stream) forbid_while_capturing();
    count_queued(work);
    return push(stream, std::move(work));
  }
  if (stream->capture->is_invalid) refuse(CAPTURE_INVALIDATED, "an earlier call has made the capture invalid");
  stream->capture->works.push_back(std::move(work));
}

void drain() {
  while (!unfinished.empty()) drain_to(*unfinished.rbegin());
}

void forbid_while_capturing() {
  for (const auto &entry : streams.live()) {
    Capture *capture = entry.second->capture.get();
    if (!capture || capture->mode == RELAXED) continue;
    if (capture->mode == THREAD_LOCAL && capture->thread != std::this_thread::get_id()) continue;
    capture->is_invalid = true;
    refuse(CAPTURE_UNSUPPORTED, "a stream is capturing, which this call does not allow");
  }
}

void reset_streams() {
  clear_queues();
  streams.clear();
  events.clear();
  graphs.clear();
  executables.clear();
  default_stream = std::make_shared<Stream>();
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED int cuStreamCreate(void **stream, unsigned flags) {
  return call(__func__, [&] {
    require_context();
    if (!stream || flags > 1) refuse(INVALID_VALUE, "a stream needs a place for its handle, and flags 0 or 1");
    *stream = streams.add(std::make_shared<Stream>());
  });
}

EXPORTED int cuStreamDestroy_v2(void *stream) {
  return call(__func__, [&] {
    require_context();
    if (streams.get(stream)->capture) refuse(CAPTURE_UNSUPPORTED, "a capturing stream is destroyed");
    streams.destroy(stream);
  });
}

EXPORTED int cuStreamQuery(void *handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(handle);
    require_not_capturing(*stream);
    if (!is_ready(stream->last, stream->queries)) throw Refusal{NOT_READY, ""};
  });
}

EXPORTED int cuStreamSynchronize(void *handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(handle);
    require_not_capturing(*stream);
    counters.synchronizations++;
    drain_to(stream->last);
  });
}

EXPORTED int cuEventCreate(void **event, unsigned flags) {
  return call(__func__, [&] {
    require_context();
    if (!event || flags > 7) refuse(INVALID_VALUE, "an event needs a place for its handle, and known flags");
    const auto made = std::make_shared<Event>();
    made->has_timing = !(flags & 2);
    *event = events.add(made);
  });
}

EXPORTED int cuEventDestroy_v2(void *event) {
  return call(__func__, [&] {
    require_context();
    events.destroy(event);
  });
}

EXPORTED int cuEventRecord(void *handle, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto event = events.get(handle);
    const auto stream = stream_of(stream_handle);
    // In a graph, an event that no other stream waits for orders nothing.
    if (stream->capture) return;
    enqueue(stream, Work{Work::EVENT, [] {}, [event] { event->time = Clock::now(); }});
    event->is_recorded = true;
    event->queries = 0;
    event->position = queued;
  });
}

/** The stream waits for what the event was last recorded behind, also if it is recorded anew. */
EXPORTED int cuStreamWaitEvent(void *stream_handle, void *handle, unsigned flags) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(stream_handle);
    const auto event = events.get(handle);
    if (flags > 1) refuse(INVALID_VALUE, "there are no flags %u", flags);
    if (stream->capture) {
      stream->capture->is_invalid = true;
      refuse(CAPTURE_UNSUPPORTED, "the stand-in captures one stream only");
    }
    const uint64_t position = event->position;
    push(stream, Work{Work::EVENT, [] {}, [] {}, [position] { return is_done(position); }});
  });
}

EXPORTED int cuEventQuery(void *handle) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    const auto event = events.get(handle);
    if (!is_ready(event->position, event->queries)) throw Refusal{NOT_READY, ""};
  });
}

EXPORTED int cuEventSynchronize(void *handle) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    const auto event = events.get(handle);
    counters.synchronizations++;
    drain_to(event->position);
  });
}

EXPORTED int cuEventElapsedTime(float *milliseconds, void *start_handle, void *end_handle) {
  return call(__func__, [&] {
    require_context();
    const auto start = events.get(start_handle), end = events.get(end_handle);
    if (!milliseconds) refuse(INVALID_VALUE, "the result is null");
    for (const auto &event : {start, end}) {
      if (!event->has_timing) refuse(INVALID_HANDLE, "an event was created without timing");
      if (!event->is_recorded) refuse(INVALID_HANDLE, "an event was never recorded");
      if (!is_done(event->position)) throw Refusal{NOT_READY, ""};
    }
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  });
}

EXPORTED int cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) {
  return cuEventElapsedTime(milliseconds, start, end);
}

EXPORTED int cuStreamBeginCapture_v2(void *handle, int mode) {
  return call(__func__, [&] {
    require_context();
    if (!handle) refuse(CAPTURE_UNSUPPORTED, "the default stream cannot capture");
    const auto stream = streams.get(handle);
    if (mode < GLOBAL || mode > RELAXED) refuse(INVALID_VALUE, "there is no capture mode %d", mode);
    if (stream->capture) refuse(ILLEGAL_STATE, "the stream is capturing already");
    stream->capture = std::make_unique<Capture>(Capture{{}, mode, std::this_thread::get_id(), false});
  });
}

EXPORTED int cuStreamEndCapture(void *handle, void **graph) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(handle);
    if (!graph) refuse(INVALID_VALUE, "the result is null");
    if (!stream->capture) refuse(ILLEGAL_STATE, "the stream does not capture");
    *graph = nullptr;
    const auto capture = std::move(stream->capture);
    if (capture->is_invalid) refuse(CAPTURE_INVALIDATED, "a call has made the capture invalid");
    *graph = graphs.add(std::make_shared<Graph>(Graph{std::move(capture->works)}));
  });
}

/** 0: not capturing, 1: capturing, 2: the capture has become invalid. */
EXPORTED int cuStreamIsCapturing(void *handle, int *status) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(handle);
    if (!status) refuse(INVALID_VALUE, "the result is null");
    *status = !stream->capture ? 0 : stream->capture->is_invalid ? 2 : 1;
  });
}

/** Without an array, gives the number of nodes. */
EXPORTED int cuGraphGetNodes(void *graph, void **nodes, size_t *count) {
  return call(__func__, [&] {
    require_context();
    const auto found = graphs.get(graph);
    if (!count) refuse(INVALID_VALUE, "the count is null");
    const size_t present = found->works.size();
    for (size_t i = 0; nodes && i < *count; i++) nodes[i] = i < present ? &found->works[i] : nullptr;
    *count = nodes ? std::min(*count, present) : present;
  });
}

EXPORTED int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
  return call(__func__, [&] {
    require_context();
    const auto found = graphs.get(graph);
    if (!executable || flags > 15) refuse(INVALID_VALUE, "a graph needs a place for its handle, and known flags");
    *executable = executables.add(std::make_shared<Graph>(*found));
  });
}

EXPORTED int cuGraphLaunch(void *handle, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto graph = executables.get(handle);
    const auto stream = stream_of(stream_handle);
    if (stream->capture) {
      stream->capture->is_invalid = true;
      refuse(CAPTURE_UNSUPPORTED, "the stand-in has no graphs in graphs");
    }
    for (const Work &work : graph->works) work.check();
    counters.graph_launches++;
    for (const Work &work : graph->works) counters.launches_in_graphs += work.kind == Work::KERNEL;
    push(stream, Work{Work::EVENT, [] {}, [graph] {
                         for (const Work &work : graph->works) work.run();
                       }});
  });
}

EXPORTED int cuGraphExecDestroy(void *executable) {
  return call(__func__, [&] {
    require_context();
    executables.destroy(executable);
  });
}

EXPORTED int cuGraphDestroy(void *graph) {
  return call(__func__, [&] {
    require_context();
    graphs.destroy(graph);
  });
}
