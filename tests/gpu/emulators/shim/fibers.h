// Runs the threads of one block as fibers of one CPU thread. A fiber runs until it waits for its block or for its
// warp, so barriers and shuffles are real rendezvous, in an order of threads that the test chooses.
#pragma once
#include <cstdint>
#include <string>

namespace shim {

constexpr int kWarpSize = 32;

enum class Wait { none, warp, block, done };
enum class Order { forward, reverse, shuffled };

struct Index {
  unsigned x, y, z;
};

// One kernel launch: grid and block sizes, and what each thread does.
struct Job {
  Index grid, block;
  void (*body)(const void* parameters);
  const void* parameters;
};

struct Settings {
  Order order = Order::forward;
  unsigned seed = 1;
};

extern Settings settings;
extern Index thread_index, block_index, block_size, grid_size;
extern int current;  // number of the running thread within its block

// Runs all blocks. Returns what went wrong, empty if nothing did.
std::string run(const Job& job);

// Called by the running thread.
void wait(Wait why, int line);
[[noreturn]] void fail(const std::string& message);

// One 64-bit word that each thread of a warp shows to the others; two, used in turn, so that one rendezvous does.
uint64_t exchange(uint64_t value, int lane, int line);

}  // namespace shim
