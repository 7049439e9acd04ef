// Streams and events. Work is kept back until something waits for it; the schedule says what may run first:
//   lazy    only what the waiting call needs, in order       (shows a missing synchronisation)
//   others  every other stream as far as it can go, then it  (shows a missing wait between streams)
//   random  any stream that can go on, by STANDIN_SEED
//   eager   at once, when it is queued                        (shows data that is filled in too late)
#include "standin.h"

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <random>

namespace standin {
namespace {

std::condition_variable idle;
bool executing = false;
thread_local bool host_function = false;

std::string schedule = getenv("STANDIN_SCHEDULE") ? getenv("STANDIN_SCHEDULE") : "lazy";
std::mt19937 dice(getenv("STANDIN_SEED") ? atoi(getenv("STANDIN_SEED")) : 1);

using StreamPtr = std::shared_ptr<Stream>;

bool reached(const Mark& mark) { return !mark.stream || mark.stream->done >= mark.count; }

const Mark* obstacle(const Stream& stream) {
  for (const Mark& mark : stream.queue.front().after)
    if (!reached(mark)) return &mark;
  return nullptr;
}

// The stream that must move for `stream` to move.
StreamPtr needed(StreamPtr stream) {
  while (const Mark* mark = obstacle(*stream)) stream = mark->stream;
  return stream;
}

std::vector<StreamPtr> runnable(Context* context) {
  std::vector<StreamPtr> found;
  auto look = [&](const StreamPtr& stream) {
    if (stream->context == context && !stream->queue.empty() && !obstacle(*stream)) found.push_back(stream);
  };
  for (const auto& [handle, stream] : state().streams) look(stream);
  for (const auto& [owner, stream] : state().defaults) look(stream);
  return found;
}

StreamPtr pick(const StreamPtr& waited) {
  if (schedule == "lazy" || schedule == "eager") return needed(waited);
  auto able = runnable(waited->context);
  if (schedule == "random") return able[dice() % able.size()];
  for (const StreamPtr& stream : able)
    if (stream != waited) return stream;
  return needed(waited);
}

// After a fault nothing that was queued will ever run.
void abandon(Context* context, CUresult code) {
  context->lost = code;
  auto forget = [&](const StreamPtr& stream) {
    if (stream->context != context) return;
    for (const Operation& operation : stream->queue) let_go(operation.holds);
    stream->queue.clear();
    stream->done = stream->issued;
  };
  for (const auto& [handle, stream] : state().streams) forget(stream);
  for (const auto& [owner, stream] : state().defaults) forget(stream);
}

void run_one(const StreamPtr& stream, Lock& lock) {
  Operation operation = std::move(stream->queue.front());
  stream->queue.pop_front();
  unlock(operation.holds, true);
  lock.unlock();  // a host function may take the interpreter's lock, which another thread that calls us may hold
  CUresult result = operation.run();
  lock.lock();
  let_go(operation.holds);
  ++stream->done;
  if (result == CUDA_SUCCESS && !fences_whole()) result = CUDA_ERROR_ILLEGAL_ADDRESS;
  if (result != CUDA_SUCCESS) abandon(stream->context, result);
}

}  // namespace

bool in_host_function() { return host_function; }

// The caller holds the lock.
StreamPtr find_stream(CUstream handle) {
  State& s = state();
  if (handle && handle != CU_STREAM_LEGACY) {
    auto found = s.streams.find(handle);
    return found == s.streams.end() ? nullptr : found->second;
  }
  StreamPtr& stream = s.defaults[current()];
  if (!stream) {
    stream = std::make_shared<Stream>();
    stream->context = current();
  }
  return stream;
}

CUresult run_until(const std::vector<Mark>& targets) {
  Lock lock(state().lock);
  idle.wait(lock, [] { return !executing; });
  executing = true;
  for (const Mark& target : targets)
    while (!reached(target)) run_one(pick(target.stream), lock);
  executing = false;
  idle.notify_all();
  for (const Mark& target : targets)
    if (target.stream && target.stream->context->lost != CUDA_SUCCESS) return target.stream->context->lost;
  return CUDA_SUCCESS;
}

CUresult drain(Context* context) {
  std::vector<Mark> all;
  {
    Lock lock(state().lock);
    for (const auto& [handle, stream] : state().streams)
      if (stream->context == context) all.push_back({stream, stream->issued});
    auto found = state().defaults.find(context);
    if (found != state().defaults.end()) all.push_back({found->second, found->second->issued});
  }
  return run_until(all);
}

// Places of a graph's nodes in an order that its edges allow: that of the capture, or by the schedule another one.
std::vector<size_t> order(const std::vector<Node>& nodes) {
  std::vector<size_t> found;
  std::set<size_t> done;
  while (found.size() < nodes.size()) {
    std::vector<size_t> able;
    for (size_t i = 0; i < nodes.size(); ++i) {
      bool ready = !done.count(i);
      for (size_t before : nodes[i].after) ready = ready && done.count(before);
      if (ready) able.push_back(i);
    }
    Lock lock(state().lock);
    size_t pick = schedule == "random" ? able[dice() % able.size()] : schedule == "others" ? able.back() : able.front();
    found.push_back(pick);
    done.insert(pick);
  }
  return found;
}

CUresult enqueue(CUstream handle, Work work, std::vector<Mark> after, Mark* queued, Holds holds) {
  StreamPtr stream;
  {
    Lock lock(state().lock);
    State& s = state();
    stream = find_stream(handle);
    if (!stream || stream->context != current()) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {
      if (!after.empty() || queued) stream->capture->broken = true;
      if (stream->capture->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
      stream->capture->nodes.push_back({std::move(work), stream->tips, std::move(holds)});
      stream->tips = {stream->capture->nodes.size() - 1};
      return CUDA_SUCCESS;
    }
    auto known = s.defaults.find(current());
    const StreamPtr legacy = known == s.defaults.end() ? nullptr : known->second;
    bool is_default = stream == legacy;
    for (const auto& [other_handle, other] : s.streams) {
      if (!is_default || !other->blocking || other->context != current()) continue;
      if (other->capture) {
        other->capture->broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
      }
      after.push_back({other, other->issued});
    }
    if (!is_default && stream->blocking && legacy) after.push_back({legacy, legacy->issued});
    hold(holds);
    stream->queue.push_back({std::move(after), std::move(work), std::move(holds)});
    ++stream->issued;
    if (queued) *queued = {stream, stream->issued};
  }
  return schedule == "eager" ? run_until({{stream, stream->issued}}) : CUDA_SUCCESS;
}

// Calls that allocate or wait spoil a capture that the same thread is making, or any thread in global mode
// (cuThreadExchangeStreamCaptureMode: "prohibited from potentially unsafe API calls"); a wait for the whole context spoils those
// of every thread (programming guide, "Prohibited and unhandled operations": "it is also invalid to synchronize a
// broader handle which encompasses an active stream capture, such as a device or context handle").
CUresult forbid_while_capturing(bool of_any_thread) {
  Lock lock(state().lock);
  CUresult result = CUDA_SUCCESS;
  for (const auto& [handle, stream] : state().streams) {
    if (!stream->capture || stream->context != current()) continue;
    const bool own = stream->capture->guarded == std::this_thread::get_id();
    if (!of_any_thread && !own && !stream->capture->global) continue;
    stream->capture->broken = true;
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return result;
}

}  // namespace standin

using namespace standin;

EXPORT void standin_schedule(const char* name, unsigned seed) {
  Lock lock(state().lock);
  schedule = name;
  dice.seed(seed);
}

EXPORT CUresult cuStreamCreate(CUstream* handle, unsigned flags) {
  ENTER("cuStreamCreate");
  Lock lock(state().lock);
  auto stream = std::make_shared<Stream>();
  stream->context = current();
  stream->blocking = !(flags & CU_STREAM_NON_BLOCKING);
  *handle = reinterpret_cast<CUstream>(stream.get());
  state().streams[*handle] = stream;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamDestroy(CUstream handle) {
  ENTER("cuStreamDestroy");
  std::vector<Mark> rest;
  {
    Lock lock(state().lock);
    auto found = state().streams.find(handle);
    if (found == state().streams.end()) return CUDA_ERROR_INVALID_HANDLE;
    rest.push_back({found->second, found->second->issued});
  }
  CUresult result = run_until(rest);
  Lock lock(state().lock);
  state().streams.erase(handle);
  return result;
}

EXPORT CUresult cuStreamSynchronize(CUstream handle) {
  ENTER("cuStreamSynchronize");
  std::vector<Mark> target;
  {
    Lock lock(state().lock);
    auto stream = find_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {
      stream->capture->broken = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    count("synchronisations");
    target.push_back({stream, stream->issued});
  }
  return run_until(target);
}

EXPORT CUresult cuStreamQuery(CUstream handle) {
  ENTER("cuStreamQuery");
  std::vector<Mark> next;
  {
    Lock lock(state().lock);
    auto stream = find_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {  // programming guide: "invalid to synchronize or query ... a stream which is being captured"
      stream->capture->broken = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (stream->done == stream->issued) return CUDA_SUCCESS;
    next.push_back({stream, stream->done + 1});
  }
  CUresult result = run_until(next);
  return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_READY : result;
}

// The caller holds the lock. An event of a capture draws a stream into the capture (a fork) or back (a join).
// https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cross-stream-dependencies-and-events
static CUresult wait_in_capture(Stream& stream, const Event& event) {
  if (!event.captured) {  // "a dependency would have been created which crosses the capture sequence boundary"
    if (!event.mark.stream) return CUDA_SUCCESS;
    stream.capture->broken = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (!event.captured->origin) return CUDA_ERROR_CAPTURED_EVENT;
  if (stream.capture && stream.capture != event.captured) {
    stream.capture->broken = event.captured->broken = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (event.captured->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  stream.capture = event.captured;
  stream.tips.insert(stream.tips.end(), event.tips.begin(), event.tips.end());
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  ENTER("cuStreamWaitEvent");
  std::vector<Mark> after;
  {
    Lock lock(state().lock);
    auto found = state().events.find(event);
    auto stream = find_stream(handle);
    if (found == state().events.end() || !stream) return CUDA_ERROR_INVALID_HANDLE;
    if (found->second->captured || stream->capture) return wait_in_capture(*stream, *found->second);
    if (found->second->mark.stream) after.push_back(found->second->mark);
  }
  return after.empty() ? CUDA_SUCCESS : enqueue(handle, [] { return CUDA_SUCCESS; }, after);
}

EXPORT CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void* data) {
  ENTER("cuLaunchHostFunc");
  return enqueue(handle, [=] {
    {
      Lock lock(state().lock);
      count("host_functions");
    }
    host_function = true;
    function(data);
    host_function = false;
    return CUDA_SUCCESS;
  });
}

EXPORT CUresult cuEventCreate(CUevent* handle, unsigned) {
  ENTER("cuEventCreate");
  Lock lock(state().lock);
  auto event = std::make_shared<Event>();
  event->context = current();
  *handle = reinterpret_cast<CUevent>(event.get());
  state().events[*handle] = event;
  return CUDA_SUCCESS;
}

namespace {
std::shared_ptr<Event> find_event(CUevent handle) {
  Lock lock(state().lock);
  auto found = state().events.find(handle);
  return found == state().events.end() ? nullptr : found->second;
}
}  // namespace

// "The operation is not permitted on an event which was last recorded in a capturing stream": error 907.
static CUresult captured_event(Event& event) {
  Lock lock(state().lock);
  event.captured->broken = true;
  return CUDA_ERROR_CAPTURED_EVENT;
}

EXPORT CUresult cuEventDestroy(CUevent handle) {
  ENTER("cuEventDestroy");
  Lock lock(state().lock);
  return state().events.erase(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT CUresult cuEventRecord(CUevent handle, CUstream stream) {
  ENTER("cuEventRecord");
  auto event = find_event(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  {
    Lock lock(state().lock);
    auto where = find_stream(stream);
    event->captured = where ? where->capture : nullptr;
    if (event->captured) {
      event->tips = where->tips;
      return event->captured->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
    }
  }
  Mark mark;
  auto stamp = [event] {
    event->when = std::chrono::steady_clock::now();
    return CUDA_SUCCESS;
  };
  if (CUresult failed = enqueue(stream, stamp, {}, &mark)) return failed;
  Lock lock(state().lock);
  event->mark = mark;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventSynchronize(CUevent handle) {
  ENTER("cuEventSynchronize");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  auto event = find_event(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (event->captured) return captured_event(*event);
  {
    Lock lock(state().lock);
    count("synchronisations");
  }
  return run_until({event->mark});
}

EXPORT CUresult cuEventQuery(CUevent handle) {
  ENTER("cuEventQuery");
  auto event = find_event(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (event->captured) return captured_event(*event);
  Mark next;
  {
    Lock lock(state().lock);
    if (reached(event->mark)) return CUDA_SUCCESS;
    next = {event->mark.stream, event->mark.stream->done + 1};
  }
  CUresult result = run_until({next});
  return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_READY : result;
}

EXPORT CUresult cuEventElapsedTime(float* ms, CUevent from, CUevent to) {
  ENTER("cuEventElapsedTime");
  auto first = find_event(from), second = find_event(to);
  if (!first || !second) return CUDA_ERROR_INVALID_HANDLE;
  Lock lock(state().lock);
  if (!first->mark.stream || !second->mark.stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!reached(first->mark) || !reached(second->mark)) return CUDA_ERROR_NOT_READY;
  *ms = std::chrono::duration<float, std::milli>(second->when - first->when).count();
  return CUDA_SUCCESS;
}
