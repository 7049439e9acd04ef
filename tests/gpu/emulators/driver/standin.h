// A stand-in for libcuda.so.1 that runs on the CPU, for tests only. Host memory plays the device's memory, kernels are
// the same .cu files compiled by g++, and asynchronous work is kept back until something synchronises with it.
#pragma once
#include <cuda.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace standin {

using Work = std::function<CUresult()>;
struct Stream;

// Work that was queued before a moment: the first `count` operations of `stream`.
struct Mark {
  std::shared_ptr<Stream> stream;
  uint64_t count = 0;
};

// Page-locked memory that queued work reads or writes.
using Holds = std::vector<char*>;

struct Operation {
  std::vector<Mark> after;
  Work run;
  Holds holds;
};

struct Node {
  Work run;
  std::vector<size_t> after;  // nodes before it, by their place
  Holds holds;
};

struct Graph {
  std::vector<Node> nodes;  // in the order of their capture, which fulfils `after`
  bool broken = false;
  Stream* origin = nullptr;  // where the capture began; null once it has ended
  std::thread::id guarded;   // the thread whose allocations and waits spoil the capture
  bool global = false;       // those of every thread do
};

struct Context {
  int device = 0;
  unsigned retained = 0;      // of the primary context
  CUresult lost = CUDA_SUCCESS;  // sticky: every later call on the context returns it
  bool alive = true;
};

struct Stream {
  Context* context = nullptr;
  bool blocking = true;  // waits for the legacy default stream, and it for this one
  std::deque<Operation> queue;
  uint64_t issued = 0, done = 0;
  std::shared_ptr<Graph> capture;
  std::vector<size_t> tips;  // nodes that the next captured one comes after
};

struct Event {
  Context* context = nullptr;
  Mark mark;
  std::shared_ptr<Graph> captured;  // recorded in a capture, after `tips`
  std::vector<size_t> tips;
  std::chrono::steady_clock::time_point when;
};

struct GraphExec {
  Context* context = nullptr;
  std::vector<Node> nodes;
  Mark last;  // an executable graph never overlaps itself
};

struct Memory {
  Context* context = nullptr;
  size_t size = 0;
  bool pinned = false;  // page-locked host memory; else the device's
  bool registered = false;  // the program's own, by cuMemHostRegister: no fences, and not ours to free
  long holds = 0;       // queued operations that need it: until they are done the program may not write to it
};

struct Module {
  Context* context = nullptr;
  std::map<std::string, unsigned> parameters, shared;  // kernel to the bytes of its parameters, of static shared memory
};

struct Kernel;
struct Function {
  CUmodule module = nullptr;
  const Kernel* kernel = nullptr;
  unsigned parameters = 0, shared = 0, dynamic = 0;  // bytes; `dynamic` is what the program has opted in for
  bool loaded = false;
};

// Everything the driver knows, under one lock. Handles given to the program are addresses of these objects.
struct State {
  std::mutex lock;
  bool initialised = false;
  Context primary;
  unsigned primary_flags = 0;
  std::set<Context*> contexts;
  std::map<char*, Memory> memory;
  std::map<CUstream, std::shared_ptr<Stream>> streams;
  std::map<Context*, std::shared_ptr<Stream>> defaults;
  std::map<CUevent, std::shared_ptr<Event>> events;
  std::map<CUgraph, std::shared_ptr<Graph>> graphs;
  std::map<CUgraphExec, std::shared_ptr<GraphExec>> execs;
  std::map<CUmodule, std::unique_ptr<Module>> modules;
  std::map<CUfunction, std::shared_ptr<Function>> functions;
  std::map<std::string, long> counts;  // entry points and what was executed
  size_t used = 0;
};

State& state();
using Lock = std::unique_lock<std::mutex>;

// control.cpp: counts the call and returns the error that a test asked for, or the context's sticky one.
CUresult enter(const char* entry, bool needs_context = true);
void count(const char* what, long by = 1);

// context.cpp
Context* current();
void destroy(Context* context);
int driver_version();  // 12060
int capability();      // 87

// memory.cpp
bool inside_device(CUdeviceptr pointer, size_t size);
bool inside_pinned(const void* pointer, size_t size);
bool fences_whole();
void free_all(Context* context);
char* pinned_block(const void* pointer);  // the page-locked block that it lies in, or null
void hold(const Holds& holds);
void let_go(const Holds& holds);
void unlock(const Holds& holds, bool running);

// queue.cpp
std::shared_ptr<Stream> find_stream(CUstream handle);
CUresult enqueue(CUstream handle, Work work, std::vector<Mark> after = {}, Mark* queued = nullptr, Holds holds = {});
std::vector<size_t> order(const std::vector<Node>& nodes);
CUresult run_until(const std::vector<Mark>& targets);
CUresult drain(Context* context);
CUresult forbid_while_capturing(bool of_any_thread = false);
bool in_host_function();

}  // namespace standin

#define EXPORT extern "C" __attribute__((visibility("default")))
// First line of every entry point.
#define ENTER(name)                                                    \
  if (CUresult injected = standin::enter(name); injected != CUDA_SUCCESS) \
  return injected
