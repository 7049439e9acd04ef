#include "fibers.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace shim {

Settings settings;
Index thread_index, block_index, block_size, grid_size;
int current;

namespace {

constexpr size_t kStack = 64 * 1024;

struct Fiber {
  ucontext_t context;
  jmp_buf jump;
  bool started = false;
  std::unique_ptr<char[]> stack{new char[kStack]};  // uninitialised
  void* sanitizer = nullptr;
  Wait wait = Wait::none;
  int line = 0;
  uint64_t shown[2] = {};
  int turn = 0;
};

std::vector<std::unique_ptr<Fiber>> pool;
const Job* job;
int threads;
std::string failure;

// AddressSanitizer must know whose stack it is looking at.
#if defined(__SANITIZE_ADDRESS__)
ucontext_t scheduler;
void* scheduler_sanitizer = nullptr;
const void* scheduler_bottom = nullptr;
size_t scheduler_size = 0;
void leaving(void** keep, const void* bottom, size_t size) { __sanitizer_start_switch_fiber(keep, bottom, size); }
void entered(void* kept) { __sanitizer_finish_switch_fiber(kept, nullptr, nullptr); }
void first_entered() { __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size); }
void leave_fiber(Fiber& fiber) {
  leaving(&fiber.sanitizer, scheduler_bottom, scheduler_size);
  swapcontext(&fiber.context, &scheduler);
  __sanitizer_finish_switch_fiber(fiber.sanitizer, &scheduler_bottom, &scheduler_size);
}
void enter_fiber(Fiber& fiber) {
  leaving(&scheduler_sanitizer, fiber.stack.get(), kStack);
  swapcontext(&scheduler, &fiber.context);
  entered(scheduler_sanitizer);
}
#else
// After its first entry a fiber is switched to with longjmp: swapcontext asks the kernel for the signal mask each time.
jmp_buf scheduler_jump;
void first_entered() {}
void leave_fiber(Fiber& fiber) {
  if (_setjmp(fiber.jump) == 0) _longjmp(scheduler_jump, 1);
}
void enter_fiber(Fiber& fiber) {
  if (_setjmp(scheduler_jump)) return;
  if (fiber.started) _longjmp(fiber.jump, 1);
  fiber.started = true;
  setcontext(&fiber.context);
}
#endif

// A fiber lives for the whole launch and runs one block after the other.
void live() {
  first_entered();
  for (;;) {
    job->body(job->parameters);
    pool[current]->wait = Wait::done;
    leave_fiber(*pool[current]);
  }
}

void create_fibers() {
  while (static_cast<int>(pool.size()) < threads) pool.push_back(std::make_unique<Fiber>());
  for (int i = 0; i < threads; ++i) {
    Fiber& fiber = *pool[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    fiber.sanitizer = nullptr;
    fiber.started = false;
    makecontext(&fiber.context, live, 0);
  }
}

void resume(int i) {
  const Index& block = job->block;
  const unsigned n = i;
  current = i;
  thread_index = {n % block.x, n / block.x % block.y, n / (block.x * block.y)};
  pool[i]->wait = Wait::none;
  enter_fiber(*pool[i]);
}

// Lets the warps go on of which every thread waits at the same shuffle.
bool release_warps() {
  bool released = false;
  for (int first = 0; first < threads; first += kWarpSize) {
    const int end = std::min(first + kWarpSize, threads);
    bool all = true;
    for (int i = first; i < end; ++i)
      all = all && pool[i]->wait == Wait::warp && pool[i]->line == pool[first]->line;
    for (int i = first; all && i < end; ++i) pool[i]->wait = Wait::none;
    released = released || all;
  }
  return released;
}

bool release_block() {
  for (int i = 0; i < threads; ++i)
    if (pool[i]->wait != Wait::block || pool[i]->line != pool[0]->line) return false;
  for (int i = 0; i < threads; ++i) pool[i]->wait = Wait::none;
  return true;
}

std::string describe_deadlock() {
  static const char* const names[] = {"running", "at a shuffle", "at a barrier", "gone"};
  std::string text = "divergence: ";
  int shown = 0;
  for (int i = 0; i < threads && shown < 3; ++i) {
    const Fiber& fiber = *pool[i];
    if (i && fiber.wait == pool[i - 1]->wait && fiber.line == pool[i - 1]->line) continue;
    text += (shown++ ? ", " : "") + ("thread " + std::to_string(i)) + " is " + names[static_cast<int>(fiber.wait)];
    if (fiber.wait != Wait::done) text += " in line " + std::to_string(fiber.line);
  }
  return text;
}

void run_block(const std::vector<int>& order) {
  for (int i = 0; i < threads; ++i) pool[i]->wait = Wait::none;
  begin_block();
  for (;;) {
    for (int i : order) {
      if (pool[i]->wait == Wait::none) resume(i);
      if (!failure.empty()) return;
    }
    if (release_warps() || release_block()) continue;
    if (std::all_of(order.begin(), order.end(), [](int i) { return pool[i]->wait == Wait::done; })) return;
    failure = describe_deadlock();
    return;
  }
}

std::vector<int> sequence(int count, std::mt19937& random) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (settings.order == Order::reverse) std::reverse(order.begin(), order.end());
  if (settings.order == Order::shuffled) std::shuffle(order.begin(), order.end(), random);
  return order;
}

}  // namespace

std::string run(const Job& wanted) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> guard(one_at_a_time);
  job = &wanted;
  const Index& grid = wanted.grid;
  threads = wanted.block.x * wanted.block.y * wanted.block.z;
  block_size = wanted.block;
  grid_size = grid;
  failure.clear();
  create_fibers();
  std::mt19937 random(settings.seed);
  for (int block : sequence(grid.x * grid.y * grid.z, random)) {
    const unsigned n = block;
    block_index = {n % grid.x, n / grid.x % grid.y, n / (grid.x * grid.y)};
    run_block(sequence(threads, random));
    if (!failure.empty()) {
      failure += " (block " + std::to_string(block) + ", thread " + std::to_string(current) + ")";
      break;
    }
  }
  return failure;
}

void wait(Wait why, int line) {
  Fiber& fiber = *pool[current];
  fiber.wait = why;
  fiber.line = line;
  leave_fiber(fiber);
}

void fail(const std::string& message) {
  failure = message;
  for (;;) leave_fiber(*pool[current]);
}

uint64_t exchange(uint64_t value, int lane, int line) {
  const int me = current, turn = pool[me]->turn ^= 1;
  pool[me]->shown[turn] = value;
  wait(Wait::warp, line);
  const int source = me / kWarpSize * kWarpSize + lane;
  if (source >= threads) fail("a shuffle reads a thread that does not exist");
  return pool[source]->shown[turn];
}

}  // namespace shim
