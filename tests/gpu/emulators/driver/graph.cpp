// Stream capture and executable graphs: what a stream would have done is kept, and done again at each launch.
#include "standin.h"

using namespace standin;

// The caller holds the lock. Every stream that took part leaves.
static void end(const std::shared_ptr<Graph>& graph) {
  graph->origin = nullptr;
  for (const auto& [handle, stream] : state().streams) {
    if (stream->capture != graph) continue;
    stream->capture.reset();
    stream->tips.clear();
  }
}

// Whether every stream that was forked has come back to the origin. Programming guide, "Cross-stream dependencies and
// events": "all streams ... need to be joined to the origin stream", else cudaErrorStreamCaptureUnjoined.
// https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cross-stream-dependencies-and-events
static bool joined(const std::shared_ptr<Graph>& graph) {
  std::set<size_t> reached(graph->origin->tips.begin(), graph->origin->tips.end());
  for (size_t i = graph->nodes.size(); i-- > 0;)
    if (reached.count(i)) reached.insert(graph->nodes[i].after.begin(), graph->nodes[i].after.end());
  for (const auto& [handle, stream] : state().streams)
    if (stream->capture == graph)
      for (size_t tip : stream->tips)
        if (!reached.count(tip)) return false;
  return true;
}

EXPORT CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
  ENTER("cuStreamBeginCapture");
  Lock lock(state().lock);
  if (!handle) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  auto stream = find_stream(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = std::make_shared<Graph>();
  stream->capture->origin = stream.get();
  if (mode != CU_STREAM_CAPTURE_MODE_RELAXED) stream->capture->guarded = std::this_thread::get_id();
  stream->capture->global = mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  ENTER("cuStreamEndCapture");
  Lock lock(state().lock);
  *graph = nullptr;
  auto stream = find_stream(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  auto made = stream->capture;
  // cuStreamEndCapture: "If the mode argument ... was not RELAXED, this call must be from the same thread"; and "Capture
  // must have been initiated on hStream".
  // https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__STREAM.html
  if (made->guarded != std::thread::id() && made->guarded != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  if (made->origin != stream.get()) {
    made->broken = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  }
  bool whole = joined(made);
  end(made);
  if (made->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!whole) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  *graph = reinterpret_cast<CUgraph>(made.get());
  state().graphs[*graph] = made;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  ENTER("cuStreamIsCapturing");
  Lock lock(state().lock);
  auto stream = find_stream(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  *status = !stream->capture          ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                      : CU_STREAM_CAPTURE_STATUS_ACTIVE;
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
    for (size_t place : order(exec->nodes))
      if (CUresult failed = exec->nodes[place].run()) return failed;
    return CUDA_SUCCESS;
  };
  Holds holds;
  for (const Node& node : exec->nodes) holds.insert(holds.end(), node.holds.begin(), node.holds.end());
  CUresult result = enqueue(stream, run, {exec->last}, &queued, holds);
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
