// Modules and launches. The image is checked for its GPU and its toolkit; the code that runs is the same .cu compiled by
// g++, found by the kernel's name in the libraries that STANDIN_KERNELS lists (colon-separated).
#include "standin.h"

#include <dlfcn.h>
#include <elf.h>
#include <stddef.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace standin {

using Launcher = void (*)(const unsigned* grid_and_block, unsigned shared, const void* parameters);

struct Kernel {
  Launcher launch;
  void (*set_buffers)(const void* const*, const size_t*, int);  // these two are the shim's; hollow kernels lack them
  const char* (*error)();
};

namespace {

constexpr unsigned SHARED = 48 * 1024, OPTED_IN = 163 * 1024;

// PTX ISA, release notes: the newest version that a driver of this CUDA translates.
// https://docs.nvidia.com/cuda/parallel-thread-execution/index.html#release-notes
int newest_ptx() {
  const std::pair<int, int> table[] = {{13000, 90}, {12090, 88}, {12080, 87}, {12070, 86}, {12060, 85}, {12050, 85},
                                       {12040, 84}, {12030, 83}, {12020, 82}, {12010, 81}, {12000, 80}};
  for (auto [driver, version] : table)
    if (driver_version() >= driver) return version;
  return 78;
}

// PTX runs on its target and on what is newer.
CUresult check_ptx(const char* text) {
  int major = 0, minor = 0, target = 0;
  const char *version = strstr(text, ".version"), *sm = strstr(text, ".target sm_");
  if (!version || sscanf(version, ".version %d.%d", &major, &minor) != 2) return CUDA_ERROR_INVALID_PTX;
  if (!sm || sscanf(sm, ".target sm_%d", &target) != 1) return CUDA_ERROR_INVALID_PTX;
  if (major * 10 + minor > newest_ptx()) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  return target > capability() ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_SUCCESS;
}

// A cubin runs on its own major capability, and there on its own minor one and later.
// https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#binary-compatibility
// CUDA 13 writes another ELF (version 8, the capability in the second byte of the flags: llvm/BinaryFormat/ELF.h,
// EF_CUDA_SM_MASK), which a driver of CUDA 12 does not know.
CUresult check_cubin(const char* image) {
  auto* header = reinterpret_cast<const Elf64_Ehdr*>(image);
  bool new_format = header->e_ident[EI_ABIVERSION] >= 8;
  if (new_format && driver_version() < 13000) return CUDA_ERROR_INVALID_IMAGE;
  int sm = new_format ? header->e_flags >> 8 & 0xFF : header->e_flags & 0xFF;
  bool runs = sm / 10 == capability() / 10 && sm <= capability();
  return runs ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU;
}

// Sizes of the kernels' parameters and static shared memory, as the ELF states them.
void read_sizes(const char* image, Module& module) {
  auto* header = reinterpret_cast<const Elf64_Ehdr*>(image);
  auto* sections = reinterpret_cast<const Elf64_Shdr*>(image + header->e_shoff);
  const char* names = image + sections[header->e_shstrndx].sh_offset;
  for (int i = 0; i < header->e_shnum; ++i) {
    std::string name = names + sections[i].sh_name;
    if (name.rfind(".nv.shared.", 0) == 0) {
      unsigned reserved = capability() >= 90 ? 1024 : 0;  // the system's own, of compute capability 9.0 and later
      module.shared[name.substr(11)] = sections[i].sh_size > reserved ? unsigned(sections[i].sh_size) - reserved : 0;
    }
    if (name.rfind(".nv.info.", 0) != 0) continue;
    auto* info = reinterpret_cast<const unsigned char*>(image + sections[i].sh_offset);
    for (size_t at = 0; at + 4 <= sections[i].sh_size; at += 4)
      if (info[at] == 0x03 && info[at + 1] == 0x19)  // EIFMT_HVAL, EIATTR_CBANK_PARAM_SIZE
        module.parameters[name.substr(9)] = info[at + 2] | info[at + 3] << 8;
  }
}

CUresult load(const char* image, Module& module) {
  if (!memcmp(image, "//", 2) || !memcmp(image, ".ver", 4)) return check_ptx(image);
  if (memcmp(image, ELFMAG, 4)) return CUDA_ERROR_INVALID_IMAGE;
  if (CUresult refused = check_cubin(image)) return refused;
  read_sizes(image, module);
  return CUDA_SUCCESS;
}

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
  auto made = std::make_unique<Module>();
  if (CUresult refused = load(static_cast<const char*>(image), *made)) return refused;
  Lock lock(state().lock);
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
  auto& functions = state().functions;
  for (auto it = functions.begin(); it != functions.end();)
    it = it->second->module == handle ? functions.erase(it) : std::next(it);
  return state().modules.erase(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  ENTER("cuModuleGetFunction");
  Lock lock(state().lock);
  auto module = state().modules.find(handle);
  if (module == state().modules.end()) return CUDA_ERROR_INVALID_HANDLE;
  const Kernel* kernel = find_kernel(name);
  if (!kernel) return CUDA_ERROR_NOT_FOUND;
  auto made = std::make_shared<Function>();
  made->module = handle, made->kernel = kernel;
  made->parameters = module->second->parameters[name], made->shared = module->second->shared[name];
  *function = reinterpret_cast<CUfunction>(made.get());
  state().functions[*function] = made;
  return CUDA_SUCCESS;
}

static std::shared_ptr<Function> find_function(CUfunction handle) {
  Lock lock(state().lock);
  auto found = state().functions.find(handle);
  return found == state().functions.end() ? nullptr : found->second;
}

EXPORT CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  ENTER("cuFuncGetAttribute");
  auto function = find_function(handle);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = int(function->shared); break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  ENTER("cuFuncSetAttribute");
  auto function = find_function(handle);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
  if (value < 0 || value + function->shared > OPTED_IN) return CUDA_ERROR_INVALID_VALUE;
  function->dynamic = unsigned(value);
  return CUDA_SUCCESS;
}

// What a launch may ask for. More than 48 KiB of shared memory, static and dynamic together, want
// cuFuncSetAttribute: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#shared-memory-8-x
// Parameters: 4,096 bytes, since driver 12.1 32,764 from Volta on:
// https://developer.nvidia.com/blog/cuda-12-1-supports-large-kernel-parameters/
static CUresult check_launch(const Function& function, unsigned dynamic, size_t parameters) {
  unsigned most = function.dynamic ? function.shared + function.dynamic : SHARED;
  if (function.shared + dynamic > most) return CUDA_ERROR_INVALID_VALUE;
  if (parameters > (driver_version() >= 12010 ? 32764u : 4096u)) return CUDA_ERROR_INVALID_VALUE;
  return parameters < function.parameters ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

// Kernels are loaded when they are first launched. Before CUDA 12.3 that needs a synchronisation of the context, which
// a capture forbids: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#lazy-loading
static CUresult load_lazily(Function& function, CUstream handle) {
  Lock lock(state().lock);
  auto stream = find_stream(handle);
  bool late = stream && stream->capture && !function.loaded && driver_version() < 12030;
  function.loaded = true;
  if (!late) return CUDA_SUCCESS;
  stream->capture->broken = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

// Without a meaning since CUDA 4, yet pycuda calls it before every launch.
EXPORT CUresult cuFuncSetBlockShape(CUfunction, int, int, int) {
  ENTER("cuFuncSetBlockShape");
  return CUDA_SUCCESS;
}

EXPORT CUresult cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                               unsigned bz, unsigned shared, CUstream stream, void** parameters, void** extra) {
  ENTER("cuLaunchKernel");
  if (!gx || !gy || !gz || !bx || !by || !bz || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || bz > 64)
    return CUDA_ERROR_INVALID_VALUE;
  auto function = find_function(handle);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  if (parameters || !extra) return CUDA_ERROR_INVALID_VALUE;
  const void* buffer = nullptr;
  size_t size = 0;
  for (void** entry = extra; *entry != CU_LAUNCH_PARAM_END; entry += 2) {
    if (*entry == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = entry[1];
    if (*entry == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *static_cast<size_t*>(entry[1]);
  }
  if (CUresult refused = check_launch(*function, shared, size)) return refused;
  if (CUresult refused = load_lazily(*function, stream)) return refused;
  // The parameters are copied now: after the call the program may reuse its buffer, and a graph keeps them.
  auto kept = std::make_shared<std::vector<max_align_t>>(size / sizeof(max_align_t) + 1);
  memcpy(kept->data(), buffer, size);
  Holds holds;
  {
    Lock lock(state().lock);
    count("launches");
    for (size_t at = 0; at + sizeof(void*) <= size; at += sizeof(void*)) {
      const void* word = nullptr;
      memcpy(&word, reinterpret_cast<const char*>(kept->data()) + at, sizeof word);
      if (char* block = pinned_block(word)) holds.push_back(block);
    }
  }
  auto work = [=] {
    {
      Lock lock(state().lock);
      count("kernels");
    }
    const unsigned shape[6] = {gx, gy, gz, bx, by, bz};
    return run(*function->kernel, shape, shared, kept->data());
  };
  return enqueue(stream, work, {}, nullptr, holds);
}
