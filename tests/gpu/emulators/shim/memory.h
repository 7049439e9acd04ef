// Global memory as a kernel may see it: every access is checked against the buffers that the test named, and counted.
#pragma once
#include <cstddef>
#include <cstdint>

namespace shim {

// Traffic between a multiprocessor and the memory system, bytes.
struct Traffic {
  uint64_t streamed;  // loads of data that should be wanted once: each is counted
  uint64_t cached;    // other loads: distinct bytes of each block, as L1 keeps them
  uint64_t stored;    // each store is counted
  uint64_t atomics;   // atomic operations on global memory
};

enum class Access { stream, cached, store, atomic };

void begin_block();
void touch(const void* address, size_t size, Access access);
void touch_atomic(const void* address, size_t size);  // of global or shared memory

}  // namespace shim

// With no buffer named, nothing is checked. `traffic` may be null; counting starts when it is not.
extern "C" void shim_buffers(const void* const* addresses, const size_t* sizes, int count);
extern "C" void shim_count(shim::Traffic* traffic);
