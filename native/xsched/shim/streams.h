// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The behaviours in streams.def. They tell the scheduler which streams and
// contexts end, which streams are captured, and what the application learns
// about progress.

#ifndef XSCHED_SHIM_STREAMS_H_
#define XSCHED_SHIM_STREAMS_H_

#include "cuda/capture.h"
#include "cuda/functions.h"
#include "preempt/inquiries.h"
#include "preempt/scheduler.h"
#include "shim/call.h"
#include "shim/process.h"
#include "shim/transparent.h"

namespace xsched {

// The queue of a stream, if it has one: that of a default stream is the calling
// thread's owner's.
inline Queue*
OwnQueue(const Scheduler& scheduler, CUstream stream)
{
  if (!Scheduler::Active()) {
    return nullptr;
  }
  if (!IsDefaultStream(stream)) {
    return scheduler.Find(Number(stream));
  }
  CUcontext context = nullptr;
  return Scheduler::ThreadHasOwner() &&
                 real::cuCtxGetCurrent(&context) == kCudaSuccess
             ? scheduler.DefaultOfThread(Number(context))
             : nullptr;
}

// --- the process ---

template <typename Call>
CUresult
Announce(const Call& call)
{
  AnnounceOnce();
  const CUresult result = call();
  NoteInit(result);
  return result;
}

// --- streams ---

template <typename Call>
CUresult
CreateStream(const Call& call, const CUstream* stream)
{
  const CUresult result = call();
  if (result == kCudaSuccess) {
    AdoptStream(*stream);
  }
  return result;
}

template <typename Call>
CUresult
DestroyStream(const Call& call, CUstream stream)
{
  Captures::Get().ForgetStream(stream);
  ReleaseStream(stream);
  // Before the driver frees the handle: it may reuse it for a new stream.
  Scheduler::Get().ForgetStream(Number(stream));
  return call();
}

// A call that succeeds when a stream has no work left.
template <typename Call>
CUresult
ObserveStream(const Call& call, CUstream stream)
{
  Scheduler& scheduler = Scheduler::Get();
  const CUstream meant = Call::Meant(stream);
  Queue* queue = OwnQueue(scheduler, meant);
  if (queue == nullptr) {
    return call();
  }
  const uint64_t launched = scheduler.Launched(queue);
  const CUresult result = call();
  if (result == kCudaSuccess) {
    scheduler.Finished(queue, launched, Number(meant));
  }
  return result;
}

// --- events ---

template <typename Call>
CUresult
RecordEvent(const Call& call, CUevent event, CUstream stream)
{
  if (Scheduler::Active()) {
    Scheduler& scheduler = Scheduler::Get();
    const CUstream meant = Call::Meant(stream);
    Queue* queue = OwnQueue(scheduler, meant);
    // An event of a capture says nothing about the stream's progress.
    if (queue != nullptr && Captures::Includes(meant)) {
      queue = nullptr;
    }
    scheduler.RecordedEvent(Number(event), queue, Number(meant));
  }
  const CUresult result = call();
  if (result != kCudaSuccess && Scheduler::Active()) {
    // It stands where it stood before, which says nothing about what came since.
    Scheduler::Get().ForgetEvent(Number(event));
  }
  return result;
}

inline void
BeforeCapture(CUstream stream)
{
  Scheduler& scheduler = Scheduler::Get();
  if (Queue* queue = OwnQueue(scheduler, stream)) {
    scheduler.BeforeCapture(queue);
  }
}

// Waiting for an event of a capture lets the stream join the capture.
template <typename Call>
CUresult
WaitForEvent(const Call& call, CUstream stream)
{
  const CUstream meant = Call::Meant(stream);
  if (!Captures::Any() || Number(meant) == kStreamPerThread) {
    return call();
  }
  BeforeCapture(meant);
  Inquiries::Forbid(Number(meant));
  const CUresult result = call();
  Inquiries::Allow(Number(meant));
  return result;
}

template <typename Call>
CUresult
ObserveEvent(const Call& call, CUevent event)
{
  const CUresult result = call();
  if (result == kCudaSuccess && Scheduler::Active()) {
    Scheduler::Get().FinishedEvent(Number(event));
  }
  return result;
}

template <typename Call>
CUresult
DestroyEvent(const Call& call, CUevent event)
{
  Scheduler::Get().ForgetEvent(Number(event));
  return call();
}

// --- contexts ---

// A call that succeeds when a context has no work left; null means the current
// one.
template <typename Call>
CUresult
ObserveContext(const Call& call, CUcontext context)
{
  if (!Scheduler::Active() ||
      (context == nullptr && real::cuCtxGetCurrent(&context) != kCudaSuccess)) {
    return call();
  }
  Scheduler& scheduler = Scheduler::Get();
  const auto launched = scheduler.LaunchedIn(Number(context));
  const CUresult result = call();
  if (result == kCudaSuccess) {
    for (const auto& entry : launched) {
      scheduler.Finished(entry.first, entry.second);
    }
  }
  return result;
}

// The primary context of a device; null if it has none at present.
CUcontext ActivePrimary(CUdevice device);

template <typename Call>
CUresult
DestroyContext(const Call& call, CUcontext context)
{
  Captures::Get().ForgetContext(context);
  Scheduler::Get().ForgetContext(Number(context));
  return call();
}

// A device's primary context ends with its last release, and only the driver
// counts the releases. So the queues are forgotten afterwards, and until then
// nobody may ask for their streams.
template <typename Call>
CUresult
ReleasePrimary(const Call& call, CUdevice device)
{
  if (!Scheduler::Active()) {
    return call();
  }
  const CUcontext context = ActivePrimary(device);
  if (context == nullptr) {
    return call();
  }
  Inquiries::ForbidContext(Number(context));
  const CUresult result = call();
  if (ActivePrimary(device) == nullptr) {
    Captures::Get().ForgetContext(context);
    Scheduler::Get().ForgetContext(Number(context));
  }
  Inquiries::AllowContext(Number(context));
  return result;
}

// --- captures ---

template <typename Call>
CUresult
BeginCapture(const Call& call, CUstream stream)
{
  if (Scheduler::Disabled()) {
    return call();
  }
  BeforeCapture(Call::Meant(stream));
  Captures& captures = Captures::Get();
  const bool first = !Captures::Any();
  const uint64_t capture = captures.Begin(Call::Meant(stream));
  if (first && Scheduler::Active()) {
    // From now on nobody asks a legacy stream. Not when there is a capture
    // already: an event in the legacy stream might break it.
    Scheduler::Get().BeforeCaptures();
  }
  const CUresult result = call();
  captures.Began(capture, result == kCudaSuccess);
  return result;
}

template <typename Call>
CUresult
EndCapture(const Call& call, CUstream stream)
{
  const CUresult result = call();
  Captures::Get().Ended(Call::Meant(stream), result);
  return result;
}

}  // namespace xsched

#endif  // XSCHED_SHIM_STREAMS_H_
