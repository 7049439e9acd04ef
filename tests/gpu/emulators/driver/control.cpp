// What tests steer and read: error injection, counters, live objects.
#include "standin.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace standin {
namespace {

struct Injection {
  std::string entry;  // "*" for any
  long skip = 0;      // calls that still pass
  long left = 0;      // calls that fail then
  CUresult code = CUDA_SUCCESS;

  bool hits(const char* called) {
    if (left == 0 || (entry != "*" && entry != called)) return false;
    if (skip > 0) return --skip, false;
    return --left, true;
  }
};
Injection injection;

// After these the real driver answers every call with the same error, until the context is gone.
bool sticky(CUresult code) {
  return code == CUDA_ERROR_UNKNOWN || code == CUDA_ERROR_LAUNCH_FAILED || code == CUDA_ERROR_ILLEGAL_ADDRESS ||
         code == CUDA_ERROR_ECC_UNCORRECTABLE;
}

}  // namespace

State& state() {
  static State* only = new State;  // never destroyed: the program may call until its very end
  return *only;
}

CUresult enter(const char* entry, bool needs_context) {
  State& s = state();
  Lock lock(s.lock);
  ++s.counts[entry];
  if (in_host_function()) return CUDA_ERROR_NOT_PERMITTED;
  Context* context = current();
  if (injection.hits(entry)) {
    ++s.counts[std::string("injected:") + entry];
    if (context && sticky(injection.code)) context->lost = injection.code;
    return injection.code;
  }
  if (!needs_context) return CUDA_SUCCESS;
  if (!s.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  return context->alive ? context->lost : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

// The caller holds the lock.
void count(const char* what, long by) { state().counts[what] += by; }

}  // namespace standin

using standin::Lock;
using standin::state;

// The nth call of `entry` from now on fails, and `times - 1` more after it.
EXPORT void standin_fail(const char* entry, long nth, long times, int code) {
  Lock lock(state().lock);
  standin::injection = {entry, nth - 1, times, CUresult(code)};
}

EXPORT void standin_reset() {
  Lock lock(state().lock);
  standin::injection = {};
  state().counts.clear();
}

EXPORT long standin_count(const char* what) {
  Lock lock(state().lock);
  auto found = state().counts.find(what);
  return found == state().counts.end() ? 0 : found->second;
}

// Every counter as "name value" lines; returns the length that is needed.
EXPORT long standin_counts(char* out, long size) {
  Lock lock(state().lock);
  std::string text;
  for (const auto& [name, value] : state().counts) text += name + " " + std::to_string(value) + "\n";
  if (out && size > 0) snprintf(out, size, "%s", text.c_str());
  return long(text.size()) + 1;
}

EXPORT long standin_live(const char* what) {
  Lock lock(state().lock);
  auto& s = state();
  if (!strcmp(what, "memory")) return long(s.memory.size());
  if (!strcmp(what, "streams")) return long(s.streams.size());
  if (!strcmp(what, "events")) return long(s.events.size());
  if (!strcmp(what, "graphs")) return long(s.graphs.size() + s.execs.size());
  if (!strcmp(what, "modules")) return long(s.modules.size());
  if (!strcmp(what, "contexts")) return long(s.primary.retained + s.contexts.size());
  return -1;
}

// Ends everything that a failed test left behind.
EXPORT void standin_sweep() {
  Lock lock(state().lock);
  state().graphs.clear();
  state().functions.clear();
  state().primary.retained = 0;
  standin::destroy(&state().primary);
}
