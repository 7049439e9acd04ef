// Initialisation, the one device, contexts, error texts. The device is an Orin under a driver of CUDA 13.0 unless
// STANDIN_DRIVER=12060, STANDIN_SM=89 or STANDIN_INTEGRATED=0 say otherwise.
#include "standin.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace standin {

thread_local std::vector<Context*> stack;

Context* current() { return stack.empty() ? nullptr : stack.back(); }

int number(const char* variable, int otherwise) {
  const char* text = getenv(variable);
  return text ? atoi(text) : otherwise;
}

int driver_version() { return number("STANDIN_DRIVER", 13000); }
int capability() { return number("STANDIN_SM", 87); }

// The caller holds the lock. Whatever lives in a context dies with it.
void destroy(Context* context) {
  State& s = state();
  auto erase = [context](auto& objects) {
    for (auto it = objects.begin(); it != objects.end();)
      it = it->second->context == context ? objects.erase(it) : std::next(it);
  };
  erase(s.streams);
  erase(s.events);
  erase(s.execs);
  erase(s.modules);
  s.defaults.erase(context);
  free_all(context);
  context->lost = CUDA_SUCCESS;
  context->alive = context == &s.primary;  // the primary context can be retained again
}

}  // namespace standin

using namespace standin;

EXPORT CUresult cuInit(unsigned flags) {
  if (CUresult injected = enter("cuInit", false)) return injected;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  state().initialised = true;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDriverGetVersion(int* version) {
  *version = driver_version();
  return enter("cuDriverGetVersion", false);
}

// NVRTC looks for the driver and asks it for this without checking that it is there.
EXPORT CUresult cuGetExportTable(const void** table, const CUuuid*) {
  *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

EXPORT CUresult cuDeviceGetCount(int* number) {
  *number = 1;
  return enter("cuDeviceGetCount", false);
}

EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  if (CUresult injected = enter("cuDeviceGet", false)) return injected;
  *device = 0;
  return ordinal ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char* name, int size, CUdevice) {
  snprintf(name, size, "stand-in");
  return enter("cuDeviceGetName", false);
}

EXPORT CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  if (CUresult injected = enter("cuDeviceGetAttribute", false)) return injected;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 49152; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 166912; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 8; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = 1536; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = capability() / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = capability() % 10; break;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED: *value = number("STANDIN_INTEGRATED", 1); break;
    default: *value = 1;
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice) {
  *major = capability() / 10, *minor = capability() % 10;
  return enter("cuDeviceComputeCapability", false);
}

EXPORT CUresult cuDeviceTotalMem(size_t* bytes, CUdevice) {
  *bytes = size_t(8) << 30;
  return enter("cuDeviceTotalMem", false);
}

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
  if (CUresult injected = enter("cuDevicePrimaryCtxRetain", false)) return injected;
  State& s = state();
  Lock lock(s.lock);
  if (!s.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  ++s.primary.retained;
  *context = CUcontext(&s.primary);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice) {
  if (CUresult injected = enter("cuDevicePrimaryCtxRelease", false)) return injected;
  State& s = state();
  Lock lock(s.lock);
  if (!s.primary.retained) return CUDA_ERROR_INVALID_CONTEXT;
  if (--s.primary.retained == 0) destroy(&s.primary);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
  Lock lock(state().lock);
  if (flags) *flags = state().primary_flags;
  *active = state().primary.retained > 0;
  return CUDA_SUCCESS;
}

// Driver API, 6.7 "Primary Context Management": "Sets the flags for the primary context on the device overwriting
// previously set ones"; of the three lowest bits, which say how to wait, at most one value of CU_CTX_SCHED_*.
EXPORT CUresult cuDevicePrimaryCtxSetFlags(CUdevice, unsigned flags) {
  if (CUresult injected = enter("cuDevicePrimaryCtxSetFlags", false)) return injected;
  Lock lock(state().lock);
  if (!state().initialised) return CUDA_ERROR_NOT_INITIALIZED;
  const unsigned waiting = flags & CU_CTX_SCHED_MASK;
  if (waiting & (waiting - 1) || flags & ~unsigned(CU_CTX_FLAGS_MASK)) return CUDA_ERROR_INVALID_VALUE;
  state().primary_flags = flags;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxCreate(CUcontext* context, CUctxCreateParams*, unsigned, CUdevice) {
  if (CUresult injected = enter("cuCtxCreate", false)) return injected;
  Lock lock(state().lock);
  auto* made = new Context;  // kept after its end, so that a stale handle is told from a wrong one
  state().contexts.insert(made);
  stack.push_back(made);
  *context = CUcontext(made);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxDestroy(CUcontext handle) {
  if (CUresult injected = enter("cuCtxDestroy", false)) return injected;
  Lock lock(state().lock);
  auto* context = reinterpret_cast<Context*>(handle);
  if (!state().contexts.erase(context)) return CUDA_ERROR_INVALID_CONTEXT;
  if (current() == context) stack.pop_back();
  destroy(context);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxDetach(CUcontext handle) { return cuCtxDestroy(handle); }

EXPORT CUresult cuCtxPushCurrent(CUcontext handle) {
  if (CUresult injected = enter("cuCtxPushCurrent", false)) return injected;
  if (!handle) return CUDA_ERROR_INVALID_CONTEXT;
  stack.push_back(reinterpret_cast<Context*>(handle));
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxPopCurrent(CUcontext* context) {
  if (CUresult injected = enter("cuCtxPopCurrent", false)) return injected;
  if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = CUcontext(stack.back());
  stack.pop_back();
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSetCurrent(CUcontext handle) {
  if (CUresult injected = enter("cuCtxSetCurrent", false)) return injected;
  if (!stack.empty()) stack.pop_back();
  if (handle) stack.push_back(reinterpret_cast<Context*>(handle));
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
  if (CUresult injected = enter("cuCtxGetCurrent", false)) return injected;
  *context = CUcontext(current());
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetDevice(CUdevice* device) {
  *device = 0;
  return enter("cuCtxGetDevice");
}

EXPORT CUresult cuCtxGetApiVersion(CUcontext, unsigned* version) {
  *version = 3020;
  return enter("cuCtxGetApiVersion");
}

EXPORT CUresult cuCtxSynchronize() {
  ENTER("cuCtxSynchronize");
  if (CUresult capturing = forbid_while_capturing(true)) return capturing;
  {
    Lock lock(state().lock);
    count("synchronisations");
  }
  return drain(current());
}

EXPORT CUresult cuGetErrorName(CUresult code, const char** name) {
  switch (code) {
    case CUDA_SUCCESS: *name = "CUDA_SUCCESS"; break;
    case CUDA_ERROR_OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case CUDA_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case CUDA_ERROR_LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case CUDA_ERROR_ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case CUDA_ERROR_UNKNOWN: *name = "CUDA_ERROR_UNKNOWN"; break;
    case CUDA_ERROR_NOT_SUPPORTED: *name = "CUDA_ERROR_NOT_SUPPORTED"; break;
    case CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"; break;
    case CUDA_ERROR_INVALID_IMAGE: *name = "CUDA_ERROR_INVALID_IMAGE"; break;
    case CUDA_ERROR_NO_BINARY_FOR_GPU: *name = "CUDA_ERROR_NO_BINARY_FOR_GPU"; break;
    case CUDA_ERROR_UNSUPPORTED_PTX_VERSION: *name = "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"; break;
    case CUDA_ERROR_INVALID_PTX: *name = "CUDA_ERROR_INVALID_PTX"; break;
    case CUDA_ERROR_INVALID_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: *name = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"; break;
    case CUDA_ERROR_STREAM_CAPTURE_UNJOINED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"; break;
    case CUDA_ERROR_STREAM_CAPTURE_ISOLATION: *name = "CUDA_ERROR_STREAM_CAPTURE_ISOLATION"; break;
    case CUDA_ERROR_STREAM_CAPTURE_MERGE: *name = "CUDA_ERROR_STREAM_CAPTURE_MERGE"; break;
    case CUDA_ERROR_CAPTURED_EVENT: *name = "CUDA_ERROR_CAPTURED_EVENT"; break;
    default: *name = "CUDA_ERROR";
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGetErrorString(CUresult code, const char** text) {
  switch (code) {
    case CUDA_ERROR_OUT_OF_MEMORY: *text = "out of memory"; break;
    case CUDA_ERROR_LAUNCH_FAILED: *text = "unspecified launch failure"; break;
    case CUDA_ERROR_ILLEGAL_ADDRESS: *text = "an illegal memory access was encountered"; break;
    case CUDA_ERROR_UNKNOWN: *text = "unknown error"; break;
    case CUDA_ERROR_NOT_SUPPORTED: *text = "operation not supported"; break;
    default: return cuGetErrorName(code, text);
  }
  return CUDA_SUCCESS;
}
