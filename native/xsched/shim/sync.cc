// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Streams, events and contexts: their life, what the application learns about
// their progress, and capture.

#include "cuda/capture.h"
#include "cuda/functions.h"
#include "preempt/scheduler.h"
#include "shim/intercept.h"

namespace xsched {
namespace real {

XSCHED_DRIVER_FUNCTION(cuInit, CUresult(unsigned int));
XSCHED_DRIVER_FUNCTION(cuStreamCreate, CUresult(CUstream*, unsigned int));
XSCHED_DRIVER_FUNCTION(
    cuStreamCreateWithPriority, CUresult(CUstream*, unsigned int, int));
XSCHED_DRIVER_FUNCTION(cuStreamDestroy, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuStreamDestroy_v2, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuStreamSynchronize_ptsz, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuStreamQuery_ptsz, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuEventRecord_ptsz, CUresult(CUevent, CUstream));
XSCHED_DRIVER_FUNCTION(
    cuEventRecordWithFlags, CUresult(CUevent, CUstream, unsigned int));
XSCHED_DRIVER_FUNCTION(
    cuEventRecordWithFlags_ptsz, CUresult(CUevent, CUstream, unsigned int));
XSCHED_DRIVER_FUNCTION(cuEventSynchronize, CUresult(CUevent));
XSCHED_DRIVER_FUNCTION(cuEventDestroy, CUresult(CUevent));
XSCHED_DRIVER_FUNCTION(cuCtxSynchronize, CUresult());
XSCHED_DRIVER_FUNCTION(cuCtxDestroy, CUresult(CUcontext));
XSCHED_DRIVER_FUNCTION(cuCtxDestroy_v2, CUresult(CUcontext));
XSCHED_DRIVER_FUNCTION(cuStreamBeginCapture, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuStreamBeginCapture_ptsz, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuStreamBeginCapture_v2, CUresult(CUstream, int));
XSCHED_DRIVER_FUNCTION(cuStreamBeginCapture_v2_ptsz, CUresult(CUstream, int));
XSCHED_DRIVER_FUNCTION(
    cuStreamBeginCaptureToGraph,
    CUresult(CUstream, CUgraph, const void*, const void*, size_t, int));
XSCHED_DRIVER_FUNCTION(
    cuStreamBeginCaptureToGraph_ptsz,
    CUresult(CUstream, CUgraph, const void*, const void*, size_t, int));
XSCHED_DRIVER_FUNCTION(cuStreamEndCapture, CUresult(CUstream, CUgraph*));
XSCHED_DRIVER_FUNCTION(cuStreamEndCapture_ptsz, CUresult(CUstream, CUgraph*));

}  // namespace real

namespace {

template <typename Handle>
uint64_t
Number(Handle handle)
{
  return reinterpret_cast<uint64_t>(handle);
}

Queue*
QueueOf(const Scheduler& scheduler, CUstream stream)
{
  const uint64_t handle = Number(stream);
  return handle > kStreamPerThread ? scheduler.Find(handle) : nullptr;
}

// A call that succeeds when a stream has nothing left to do.
template <typename Function>
CUresult
ObserveStream(CUstream stream, Function& function)
{
  Scheduler& scheduler = Scheduler::Get();
  Queue* queue =
      scheduler.Active() ? QueueOf(scheduler, stream) : nullptr;
  if (queue == nullptr) {
    return function(stream);
  }
  const uint64_t launched = scheduler.Launched(queue);
  const CUresult result = function(stream);
  if (result == kCudaSuccess) {
    scheduler.Finished(queue, launched);
  }
  return result;
}

template <typename Function>
CUresult
ObserveEvent(CUevent event, Function& function)
{
  const CUresult result = function(event);
  Scheduler& scheduler = Scheduler::Get();
  if (result == kCudaSuccess && scheduler.Active()) {
    scheduler.FinishedEvent(Number(event));
  }
  return result;
}

template <typename Function, typename... More>
CUresult
Record(CUevent event, CUstream stream, Function& function, More... more)
{
  Scheduler& scheduler = Scheduler::Get();
  if (scheduler.Active()) {
    Queue* queue = QueueOf(scheduler, stream);
    // An event of a capture says nothing about the stream's progress.
    if (queue != nullptr && Captures::Includes(stream)) {
      queue = nullptr;
    }
    scheduler.RecordedEvent(Number(event), queue);
  }
  return function(event, stream, more...);
}

template <typename Function>
CUresult
DestroyStream(CUstream stream, Function& function)
{
  Captures::Get().ForgetStream(stream);
  ReleaseStream(stream);
  // Before the driver frees the handle: it may give it to a new stream.
  Scheduler::Get().ForgetStream(Number(stream));
  return function(stream);
}

template <typename Function>
CUresult
DestroyEvent(CUevent event, Function& function)
{
  Scheduler::Get().ForgetEvent(Number(event));
  return function(event);
}

template <typename Function>
CUresult
DestroyContext(CUcontext context, Function& function)
{
  Scheduler::Get().ForgetContext(Number(context));
  return function(context);
}

template <typename Function, typename... More>
CUresult
BeginCapture(CUstream stream, Function& function, More... more)
{
  Captures& captures = Captures::Get();
  captures.BeforeBegin();
  const CUresult result = function(stream, more...);
  captures.AfterBegin(stream, result);
  return result;
}

template <typename Function>
CUresult
EndCapture(CUstream stream, CUgraph* graph, Function& function)
{
  const CUresult result = function(stream, graph);
  Captures::Get().AfterEnd(stream, result);
  return result;
}

}  // namespace
}  // namespace xsched

namespace real = xsched::real;

XSCHED_SHIM_FUNCTION
cuInit(unsigned int flags)
{
  xsched::AnnounceOnce();
  return real::cuInit(flags);
}

XSCHED_SHIM_FUNCTION
cuStreamCreate(CUstream* stream, unsigned int flags)
{
  const CUresult result = real::cuStreamCreate(stream, flags);
  if (result == xsched::kCudaSuccess) {
    xsched::AdoptStream(*stream);
  }
  return result;
}

XSCHED_SHIM_FUNCTION
cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority)
{
  const CUresult result =
      real::cuStreamCreateWithPriority(stream, flags, priority);
  if (result == xsched::kCudaSuccess) {
    xsched::AdoptStream(*stream);
  }
  return result;
}

XSCHED_SHIM_FUNCTION
cuStreamDestroy(CUstream stream)
{
  return xsched::DestroyStream(stream, real::cuStreamDestroy);
}

XSCHED_SHIM_FUNCTION
cuStreamDestroy_v2(CUstream stream)
{
  return xsched::DestroyStream(stream, real::cuStreamDestroy_v2);
}

XSCHED_SHIM_FUNCTION
cuStreamSynchronize(CUstream stream)
{
  return xsched::ObserveStream(stream, real::cuStreamSynchronize);
}

XSCHED_SHIM_FUNCTION
cuStreamSynchronize_ptsz(CUstream stream)
{
  return xsched::ObserveStream(stream, real::cuStreamSynchronize_ptsz);
}

XSCHED_SHIM_FUNCTION
cuStreamQuery(CUstream stream)
{
  return xsched::ObserveStream(stream, real::cuStreamQuery);
}

XSCHED_SHIM_FUNCTION
cuStreamQuery_ptsz(CUstream stream)
{
  return xsched::ObserveStream(stream, real::cuStreamQuery_ptsz);
}

XSCHED_SHIM_FUNCTION
cuEventRecord(CUevent event, CUstream stream)
{
  return xsched::Record(event, stream, real::cuEventRecord);
}

XSCHED_SHIM_FUNCTION
cuEventRecord_ptsz(CUevent event, CUstream stream)
{
  return xsched::Record(event, stream, real::cuEventRecord_ptsz);
}

XSCHED_SHIM_FUNCTION
cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
  return xsched::Record(event, stream, real::cuEventRecordWithFlags, flags);
}

XSCHED_SHIM_FUNCTION
cuEventRecordWithFlags_ptsz(CUevent event, CUstream stream, unsigned int flags)
{
  return xsched::Record(
      event, stream, real::cuEventRecordWithFlags_ptsz, flags);
}

XSCHED_SHIM_FUNCTION
cuEventSynchronize(CUevent event)
{
  return xsched::ObserveEvent(event, real::cuEventSynchronize);
}

XSCHED_SHIM_FUNCTION
cuEventQuery(CUevent event)
{
  return xsched::ObserveEvent(event, real::cuEventQuery);
}

XSCHED_SHIM_FUNCTION
cuEventDestroy(CUevent event)
{
  return xsched::DestroyEvent(event, real::cuEventDestroy);
}

XSCHED_SHIM_FUNCTION
cuEventDestroy_v2(CUevent event)
{
  return xsched::DestroyEvent(event, real::cuEventDestroy_v2);
}

XSCHED_SHIM_FUNCTION
cuCtxSynchronize()
{
  xsched::Scheduler& scheduler = xsched::Scheduler::Get();
  CUcontext context = nullptr;
  if (!scheduler.Active() ||
      real::cuCtxGetCurrent(&context) != xsched::kCudaSuccess) {
    return real::cuCtxSynchronize();
  }
  const auto launched =
      scheduler.LaunchedIn(reinterpret_cast<uint64_t>(context));
  const CUresult result = real::cuCtxSynchronize();
  if (result == xsched::kCudaSuccess) {
    for (const auto& entry : launched) {
      scheduler.Finished(entry.first, entry.second);
    }
  }
  return result;
}

XSCHED_SHIM_FUNCTION
cuCtxDestroy(CUcontext context)
{
  return xsched::DestroyContext(context, real::cuCtxDestroy);
}

XSCHED_SHIM_FUNCTION
cuCtxDestroy_v2(CUcontext context)
{
  return xsched::DestroyContext(context, real::cuCtxDestroy_v2);
}

XSCHED_SHIM_FUNCTION
cuStreamBeginCapture(CUstream stream)
{
  return xsched::BeginCapture(stream, real::cuStreamBeginCapture);
}

XSCHED_SHIM_FUNCTION
cuStreamBeginCapture_ptsz(CUstream stream)
{
  return xsched::BeginCapture(stream, real::cuStreamBeginCapture_ptsz);
}

XSCHED_SHIM_FUNCTION
cuStreamBeginCapture_v2(CUstream stream, int mode)
{
  return xsched::BeginCapture(stream, real::cuStreamBeginCapture_v2, mode);
}

XSCHED_SHIM_FUNCTION
cuStreamBeginCapture_v2_ptsz(CUstream stream, int mode)
{
  return xsched::BeginCapture(
      stream, real::cuStreamBeginCapture_v2_ptsz, mode);
}

XSCHED_SHIM_FUNCTION
cuStreamBeginCaptureToGraph(
    CUstream stream, CUgraph graph, const void* dependencies, const void* data,
    size_t count, int mode)
{
  return xsched::BeginCapture(
      stream, real::cuStreamBeginCaptureToGraph, graph, dependencies, data,
      count, mode);
}

XSCHED_SHIM_FUNCTION
cuStreamBeginCaptureToGraph_ptsz(
    CUstream stream, CUgraph graph, const void* dependencies, const void* data,
    size_t count, int mode)
{
  return xsched::BeginCapture(
      stream, real::cuStreamBeginCaptureToGraph_ptsz, graph, dependencies,
      data, count, mode);
}

XSCHED_SHIM_FUNCTION
cuStreamEndCapture(CUstream stream, CUgraph* graph)
{
  return xsched::EndCapture(stream, graph, real::cuStreamEndCapture);
}

XSCHED_SHIM_FUNCTION
cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph)
{
  return xsched::EndCapture(stream, graph, real::cuStreamEndCapture_ptsz);
}
