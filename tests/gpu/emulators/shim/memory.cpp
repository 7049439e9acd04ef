#include "memory.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

#include "fibers.h"

// All __shared__ variables lie in one section, so that what no thread has written can be told: it is NaN. Under
// AddressSanitizer they are ordinary variables with guarded rims instead.
extern "C" char __start_cuda_shared[] __attribute__((weak));
extern "C" char __stop_cuda_shared[] __attribute__((weak));

namespace shim {
namespace {

struct Buffer {
  const char* first;
  size_t size;
};

std::vector<Buffer> buffers;
Traffic* counted = nullptr;
std::unordered_set<uintptr_t> seen;  // cached bytes of this block, by 4-byte word

bool inside(const void* address, size_t size) {
  const char* first = static_cast<const char*>(address);
  for (const Buffer& buffer : buffers)
    if (first >= buffer.first && first + size <= buffer.first + buffer.size) return true;
  return buffers.empty();
}

void count(const void* address, size_t size, Access access) {
  if (access == Access::stream) counted->streamed += size;
  if (access == Access::store) counted->stored += size;
  if (access == Access::atomic) ++counted->atomics;
  if (access != Access::cached) return;
  const uintptr_t first = reinterpret_cast<uintptr_t>(address);
  for (uintptr_t word = first / 4; word < (first + size + 3) / 4; ++word)
    if (seen.insert(word).second) counted->cached += 4;
}

}  // namespace

void begin_block() {
  seen.clear();
  if (__start_cuda_shared) memset(__start_cuda_shared, 0xFF, __stop_cuda_shared - __start_cuda_shared);
}

void touch(const void* address, size_t size, Access access) {
  if (reinterpret_cast<uintptr_t>(address) % size) fail("a misaligned access of " + std::to_string(size) + " bytes");
  if (!inside(address, size)) {
    std::string nearest = "nowhere near a buffer";
    for (size_t i = 0; i < buffers.size(); ++i) {
      const ptrdiff_t at = static_cast<const char*>(address) - buffers[i].first;
      if (at > -65536 && at < static_cast<ptrdiff_t>(buffers[i].size) + 65536)
        nearest = "at byte " + std::to_string(at) + " of buffer " + std::to_string(i) + ", which has " +
                  std::to_string(buffers[i].size);
    }
    fail("an access of " + std::to_string(size) + " bytes out of bounds: " + nearest);
  }
  if (counted) count(address, size, access);
}

void touch_atomic(const void* address, size_t size) {
  const char* first = static_cast<const char*>(address);
  if (first < __start_cuda_shared || first >= __stop_cuda_shared) touch(address, size, Access::atomic);
}

}  // namespace shim

void shim_buffers(const void* const* addresses, const size_t* sizes, int count) {
  shim::buffers.clear();
  for (int i = 0; i < count; ++i) shim::buffers.push_back({static_cast<const char*>(addresses[i]), sizes[i]});
}

void shim_count(shim::Traffic* traffic) { shim::counted = traffic; }
