// Stream capture and executable graphs: what a stream would have done is kept, and done again at each launch.
#include "standin.h"

using namespace standin;

EXPORT CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
  ENTER("cuStreamBeginCapture");
  Lock lock(state().lock);
  if (!handle) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  auto stream = find_stream(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = std::make_unique<Graph>();
  stream->guarded = mode == CU_STREAM_CAPTURE_MODE_RELAXED ? std::thread::id() : std::this_thread::get_id();
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  ENTER("cuStreamEndCapture");
  Lock lock(state().lock);
  *graph = nullptr;
  auto stream = find_stream(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  // cuStreamEndCapture: "If the mode argument ... was not RELAXED, this call must be from the same thread".
  if (stream->guarded != std::thread::id() && stream->guarded != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  auto made = std::move(stream->capture);
  if (made->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  *graph = reinterpret_cast<CUgraph>(made.get());
  state().graphs[*graph] = std::move(made);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  ENTER("cuStreamIsCapturing");
  Lock lock(state().lock);
  auto stream = find_stream(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  *status = stream->capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode*, size_t* number) {
  ENTER("cuGraphGetNodes");
  Lock lock(state().lock);
  auto found = state().graphs.find(graph);
  if (found == state().graphs.end()) return CUDA_ERROR_INVALID_VALUE;
  *number = found->second->nodes.size();
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  ENTER("cuGraphInstantiate");
  if (CUresult capturing = forbid_while_capturing()) return capturing;
  Lock lock(state().lock);
  auto found = state().graphs.find(graph);
  if (found == state().graphs.end()) return CUDA_ERROR_INVALID_VALUE;
  auto made = std::make_shared<GraphExec>();
  made->context = current();
  made->nodes = found->second->nodes;
  *exec = reinterpret_cast<CUgraphExec>(made.get());
  state().execs[*exec] = made;
  count("graph_captures");
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream) {
  ENTER("cuGraphLaunch");
  std::shared_ptr<GraphExec> exec;
  {
    Lock lock(state().lock);
    auto found = state().execs.find(handle);
    if (found == state().execs.end()) return CUDA_ERROR_INVALID_VALUE;
    exec = found->second;
    count("graph_launches");
  }
  Mark queued;
  auto run = [exec] {
    for (const Work& node : exec->nodes)
      if (CUresult failed = node()) return failed;
    return CUDA_SUCCESS;
  };
  CUresult result = enqueue(stream, run, {exec->last}, &queued);
  if (result == CUDA_SUCCESS) exec->last = queued;
  return result;
}

EXPORT CUresult cuGraphUpload(CUgraphExec, CUstream) {
  ENTER("cuGraphUpload");
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
  ENTER("cuGraphExecDestroy");
  Lock lock(state().lock);
  return state().execs.erase(exec) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// A captured graph is the host's memory: it can be destroyed when the GPU is gone.
EXPORT CUresult cuGraphDestroy(CUgraph graph) {
  if (CUresult injected = enter("cuGraphDestroy", false)) return injected;
  Lock lock(state().lock);
  return state().graphs.erase(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
