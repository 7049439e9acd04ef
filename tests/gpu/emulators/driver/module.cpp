// Modules and launches. The image is checked for its kind only: the code that runs is the same .cu compiled by g++,
// found by the kernel's name in the libraries that STANDIN_KERNELS lists (colon-separated).
#include "standin.h"

#include <dlfcn.h>
#include <stddef.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace standin {
namespace {

using Launcher = void (*)(const unsigned* grid_and_block, unsigned shared, const void* parameters);

bool looks_like_code(const void* image) {
  unsigned magic = 0;
  memcpy(&magic, image, 4);
  return magic == 0x464C457F || magic == 0xBA55ED50 || !memcmp(image, "//", 2) || !memcmp(image, ".ver", 4);
}

struct Kernel {
  Launcher launch;
  void (*set_buffers)(const void* const*, const size_t*, int);  // these two are the shim's; hollow kernels lack them
  const char* (*error)();
};

const Kernel* find_kernel(const char* name) {
  static std::map<std::string, Kernel> found;
  auto known = found.find(name);
  if (known != found.end()) return &known->second;
  std::istringstream libraries(getenv("STANDIN_KERNELS") ? getenv("STANDIN_KERNELS") : "");
  std::string symbol = std::string("cudacpu_launch_") + name, path;
  while (std::getline(libraries, path, ':')) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "stand-in driver: %s\n", dlerror());
    auto launch = reinterpret_cast<Launcher>(library ? dlsym(library, symbol.c_str()) : nullptr);
    if (!launch) continue;
    Kernel kernel{launch, nullptr, nullptr};
    kernel.set_buffers = reinterpret_cast<decltype(kernel.set_buffers)>(dlsym(library, "shim_buffers"));
    kernel.error = reinterpret_cast<decltype(kernel.error)>(dlsym(library, "shim_error"));
    if (auto keep = reinterpret_cast<void (*)(int)>(dlsym(library, "shim_keep_errors"))) keep(1);
    return &(found[name] = kernel);
  }
  return nullptr;
}

// Every address that a kernel touches must lie in memory that the program has allocated.
CUresult run(const Kernel& kernel, const unsigned* shape, unsigned shared, const void* parameters) {
  if (kernel.set_buffers) {
    std::vector<const void*> addresses;
    std::vector<size_t> sizes;
    Lock lock(state().lock);
    for (const auto& [address, memory] : state().memory) {
      addresses.push_back(address);
      sizes.push_back(memory.size);
    }
    kernel.set_buffers(addresses.data(), sizes.data(), int(sizes.size()));
  }
  kernel.launch(shape, shared, parameters);
  if (!kernel.error || !*kernel.error()) return CUDA_SUCCESS;
  fprintf(stderr, "stand-in driver: %s\n", kernel.error());
  return CUDA_ERROR_ILLEGAL_ADDRESS;
}

}  // namespace
}  // namespace standin

using namespace standin;

EXPORT CUresult cuModuleLoadData(CUmodule* handle, const void* image) {
  ENTER("cuModuleLoadData");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  if (!looks_like_code(image)) return CUDA_ERROR_INVALID_IMAGE;
  Lock lock(state().lock);
  auto made = std::make_unique<Module>();
  made->context = current();
  *handle = reinterpret_cast<CUmodule>(made.get());
  state().modules[*handle] = std::move(made);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuModuleLoadDataEx(CUmodule* handle, const void* image, unsigned, CUjit_option*, void**) {
  return cuModuleLoadData(handle, image);
}

EXPORT CUresult cuModuleUnload(CUmodule handle) {
  ENTER("cuModuleUnload");
  Lock lock(state().lock);
  return state().modules.erase(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule, const char* name) {
  ENTER("cuModuleGetFunction");
  *function = reinterpret_cast<CUfunction>(const_cast<Kernel*>(find_kernel(name)));
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

EXPORT CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
  ENTER("cuFuncGetAttribute");
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) {
  ENTER("cuFuncSetAttribute");
  return CUDA_SUCCESS;
}

// Without a meaning since CUDA 4, yet pycuda calls it before every launch.
EXPORT CUresult cuFuncSetBlockShape(CUfunction, int, int, int) {
  ENTER("cuFuncSetBlockShape");
  return CUDA_SUCCESS;
}

EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                               unsigned bz, unsigned shared, CUstream stream, void** parameters, void** extra) {
  ENTER("cuLaunchKernel");
  if (!gx || !gy || !gz || !bx || !by || !bz || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || bz > 64)
    return CUDA_ERROR_INVALID_VALUE;
  if (shared > 166912 || parameters || !extra) return CUDA_ERROR_INVALID_VALUE;
  const void* buffer = nullptr;
  size_t size = 0;
  for (void** entry = extra; *entry != CU_LAUNCH_PARAM_END; entry += 2) {
    if (*entry == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = entry[1];
    if (*entry == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *static_cast<size_t*>(entry[1]);
  }
  // The parameters are copied now: after the call the program may reuse its buffer, and a graph keeps them.
  auto kept = std::make_shared<std::vector<max_align_t>>(size / sizeof(max_align_t) + 1);
  memcpy(kept->data(), buffer, size);
  {
    Lock lock(state().lock);
    count("launches");
  }
  return enqueue(stream, [=] {
    {
      Lock lock(state().lock);
      count("kernels");
    }
    const unsigned shape[6] = {gx, gy, gz, bx, by, bz};
    return run(*reinterpret_cast<const Kernel*>(function), shape, shared, kept->data());
  });
}
