// Device and page-locked memory: poisoned when new, fenced on both sides, every copy checked against its bounds.
#include "standin.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace standin {
namespace {

constexpr size_t PAGE = 4096, FENCE = 256, LIMIT = size_t(2) << 30;
constexpr int FENCE_BYTE = 0xA5, NEW_BYTE = 0xFF;  // 0xFF is NaN as float and half, -1 as an integer

// A block has a page before it, whose end is a fence, and room for a fence behind it.
size_t span(size_t size) { return PAGE + (size + FENCE + PAGE - 1) / PAGE * PAGE; }

// The caller holds the lock.
CUresult allocate(size_t size, bool pinned, void** out) {
  State& s = state();
  if (!size) return CUDA_ERROR_INVALID_VALUE;
  if (s.used + size > LIMIT) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* base = static_cast<char*>(mmap(nullptr, span(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (base == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  char* at = base + PAGE;
  memset(at - FENCE, FENCE_BYTE, FENCE);
  memset(at, NEW_BYTE, size);
  memset(at + size, FENCE_BYTE, FENCE);
  s.memory[at] = {current(), size, pinned};
  s.used += size;
  count(pinned ? "pinned_allocations" : "device_allocations");
  *out = at;
  return CUDA_SUCCESS;
}

void protect(char* at, const Memory& memory, bool writable) {
  if (getenv("STANDIN_PROTECT") && !atoi(getenv("STANDIN_PROTECT"))) return;
  mprotect(at, (memory.size + PAGE - 1) / PAGE * PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ);
}

void release(std::map<char*, Memory>::iterator it) {
  State& s = state();
  if (it->second.registered) {
    protect(it->first, it->second, true);
    s.memory.erase(it);
    return;
  }
  s.used -= it->second.size;
  munmap(it->first - PAGE, span(it->second.size));  // who uses it afterwards faults
  s.memory.erase(it);
}

bool inside(const void* pointer, size_t size, bool pinned) {
  auto& memory = state().memory;
  auto* at = static_cast<const char*>(pointer);
  auto it = memory.upper_bound(const_cast<char*>(at));
  if (it == memory.begin()) return false;
  --it;
  // A mapped page-locked buffer is also device memory, at the same address.
  return at + size <= it->first + it->second.size && (it->second.pinned || !pinned);
}

CUresult free_memory(void* pointer, bool pinned) {
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  if (CUresult failed = drain(current())) return failed;  // as in CUDA, work in flight ends first
  Lock lock(state().lock);
  auto it = state().memory.find(static_cast<char*>(pointer));
  if (it == state().memory.end() || it->second.pinned != pinned) return CUDA_ERROR_INVALID_VALUE;
  release(it);
  return CUDA_SUCCESS;
}

}  // namespace

bool inside_device(CUdeviceptr pointer, size_t size) { return inside(reinterpret_cast<void*>(pointer), size, false); }
bool inside_pinned(const void* pointer, size_t size) { return inside(pointer, size, true); }

// The caller holds the lock. A kernel that wrote outside its buffers has hit a fence.
bool fences_whole() {
  for (const auto& [at, memory] : state().memory)
    for (size_t i = memory.registered ? FENCE : 0; i < FENCE; ++i)
      if (uint8_t(at[-1 - long(i)]) != FENCE_BYTE || uint8_t(at[memory.size + i]) != FENCE_BYTE) return false;
  return true;
}

// The caller holds the lock, as for the next three.
char* pinned_block(const void* pointer) {
  auto& memory = state().memory;
  auto it = memory.upper_bound(static_cast<char*>(const_cast<void*>(pointer)));
  if (it == memory.begin()) return nullptr;
  --it;
  return it->second.pinned && pointer < it->first + it->second.size ? it->first : nullptr;
}

// cuMemcpyHtoDAsync and kernels on mapped memory read when they run: until then what the program writes is a race.
// https://docs.nvidia.com/cuda/cuda-driver-api/api-sync-behavior.html
void hold(const Holds& holds) {
  for (char* at : holds) {
    auto it = state().memory.find(at);
    if (it != state().memory.end() && it->second.holds++ == 0) protect(at, it->second, false);
  }
}

void unlock(const Holds& holds, bool running) {
  for (char* at : holds) {
    auto it = state().memory.find(at);
    if (it != state().memory.end()) protect(at, it->second, running || it->second.holds == 0);
  }
}

void let_go(const Holds& holds) {
  for (char* at : holds) {
    auto it = state().memory.find(at);
    if (it != state().memory.end()) --it->second.holds;
  }
  unlock(holds, false);
}

void free_all(Context* context) {
  auto& memory = state().memory;
  for (auto it = memory.begin(); it != memory.end();) {
    auto next = std::next(it);
    if (it->second.context == context) release(it);
    it = next;
  }
}

}  // namespace standin

using namespace standin;

EXPORT CUresult cuMemAlloc(CUdeviceptr* pointer, size_t size) {
  ENTER("cuMemAlloc");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  Lock lock(state().lock);
  void* made = nullptr;
  CUresult result = allocate(size, false, &made);
  *pointer = reinterpret_cast<CUdeviceptr>(made);
  return result;
}

EXPORT CUresult cuMemFree(CUdeviceptr pointer) {
  ENTER("cuMemFree");
  return free_memory(reinterpret_cast<void*>(pointer), false);
}

EXPORT CUresult cuMemHostAlloc(void** pointer, size_t size, unsigned) {
  ENTER("cuMemHostAlloc");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  Lock lock(state().lock);
  return allocate(size, true, pointer);
}

// https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__MEM.html: a page-locked range of the program's memory.
EXPORT CUresult cuMemHostRegister(void* pointer, size_t size, unsigned) {
  ENTER("cuMemHostRegister");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  Lock lock(state().lock);
  if (!size || reinterpret_cast<uintptr_t>(pointer) % PAGE) return CUDA_ERROR_INVALID_VALUE;
  if (pinned_block(pointer)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  Memory& memory = state().memory[static_cast<char*>(pointer)];
  memory = {current(), size, true};
  memory.registered = true;
  count("pinned_allocations");
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemHostUnregister(void* pointer) {
  ENTER("cuMemHostUnregister");
  return free_memory(pointer, true);
}

EXPORT CUresult cuMemFreeHost(void* pointer) {
  ENTER("cuMemFreeHost");
  return free_memory(pointer, true);
}

EXPORT CUresult cuMemHostGetDevicePointer(CUdeviceptr* device, void* host, unsigned) {
  ENTER("cuMemHostGetDevicePointer");
  Lock lock(state().lock);
  *device = reinterpret_cast<CUdeviceptr>(host);
  return inside_pinned(host, 1) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuMemGetInfo(size_t* free, size_t* total) {
  ENTER("cuMemGetInfo");
  Lock lock(state().lock);
  *total = LIMIT;
  *free = LIMIT - state().used;
  return CUDA_SUCCESS;
}

namespace {

// Bounds are checked when the copy is asked for and again when it happens.
CUresult copy(CUstream stream, void* to, const void* from, size_t size, const std::function<bool()>& allowed,
              const char* counted) {
  Holds holds;
  {
    Lock lock(state().lock);
    if (!allowed()) return CUDA_ERROR_INVALID_VALUE;
    for (const void* end : {static_cast<const void*>(to), from})
      if (char* block = pinned_block(end)) holds.push_back(block);
  }
  auto work = [=] {
    Lock lock(state().lock);
    if (!allowed()) return CUDA_ERROR_ILLEGAL_ADDRESS;
    memcpy(to, from, size);
    count(counted, long(size));
    return CUDA_SUCCESS;
  };
  return enqueue(stream, work, {}, nullptr, holds);
}

CUresult finish_default_stream() {
  std::vector<Mark> marks;
  {
    Lock lock(state().lock);
    count("implicit_synchronisations");
    auto stream = find_stream(nullptr);
    marks.push_back({stream, stream->issued});
  }
  return run_until(marks);
}

CUresult upload(CUdeviceptr to, const void* from, size_t size, CUstream stream, bool pageable) {
  auto allowed = [=] { return inside_device(to, size) && (pageable || inside_pinned(from, size)); };
  return copy(stream, reinterpret_cast<void*>(to), from, size, allowed, "bytes_up");
}

CUresult download(void* to, CUdeviceptr from, size_t size, CUstream stream, bool pageable) {
  auto allowed = [=] { return inside_device(from, size) && (pageable || inside_pinned(to, size)); };
  return copy(stream, to, reinterpret_cast<const void*>(from), size, allowed, "bytes_down");
}

}  // namespace

EXPORT CUresult cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t size) {
  ENTER("cuMemcpyHtoD");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  if (CUresult failed = upload(to, from, size, nullptr, true)) return failed;
  return finish_default_stream();
}

EXPORT CUresult cuMemcpyDtoH(void* to, CUdeviceptr from, size_t size) {
  ENTER("cuMemcpyDtoH");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  if (CUresult failed = download(to, from, size, nullptr, true)) return failed;
  return finish_default_stream();
}

// An asynchronous copy from or to pageable memory is refused: the real driver would make it synchronous unasked.
EXPORT CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t size, CUstream stream) {
  ENTER("cuMemcpyHtoDAsync");
  return upload(to, from, size, stream, false);
}

EXPORT CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t size, CUstream stream) {
  ENTER("cuMemcpyDtoHAsync");
  return download(to, from, size, stream, false);
}

EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t size, CUstream stream) {
  ENTER("cuMemsetD8Async");
  auto allowed = [=] { return inside_device(to, size); };
  Lock lock(state().lock);
  if (!allowed()) return CUDA_ERROR_INVALID_VALUE;
  lock.unlock();
  return enqueue(stream, [=] {
    Lock inner(state().lock);
    if (!allowed()) return CUDA_ERROR_ILLEGAL_ADDRESS;
    memset(reinterpret_cast<void*>(to), value, size);
    return CUDA_SUCCESS;
  });
}

EXPORT CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t size) {
  if (CUresult failed = cuMemsetD8Async(to, value, size, nullptr)) return failed;
  return finish_default_stream();
}
