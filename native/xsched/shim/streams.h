// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The behaviours in streams.def. They tell the scheduler which streams and
// contexts end, which streams are captured, and what the application learns
// about progress.

#ifndef XSCHED_SHIM_STREAMS_H_
#define XSCHED_SHIM_STREAMS_H_

#include "cuda/capture.h"
#include "cuda/context_scope.h"
#include "cuda/functions.h"
#include "preempt/inquiries.h"
#include "preempt/scheduler.h"
#include "shim/call.h"
#include "shim/process.h"
#include "shim/run_ahead.h"
#include "shim/transparent.h"
#include "shim/work.h"

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
  if (RunAhead::On()) {
    RunAhead::Drain(Scheduler::Get().Find(Number(stream)), call.Name());
    RunAhead::ForgetStream();
  }
  Captures::Get().ForgetStream(stream);
  ReleaseStream(stream);
  // Before the driver frees the handle: it may reuse it for a new stream.
  Scheduler::Get().ForgetStream(Number(stream));
  return call();
}

// The queue that what the thread has given to a stream belongs to.
inline Queue*
OwnerOfKept(CUstream stream)
{
  if (!Scheduler::Active()) {
    return nullptr;
  }
  const Scheduler& scheduler = Scheduler::Get();
  if (!IsDefaultStream(stream)) {
    return scheduler.Find(Number(stream));
  }
  bool adopts = false;
  return scheduler.OfThread(Number(RunAhead::CurrentContext()), true, &adopts);
}

template <typename Call>
CUresult
ObserveStreamNow(const Call& call, CUstream meant)
{
  Scheduler& scheduler = Scheduler::Get();
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

// A call that succeeds when a stream has no work left.
template <typename Call>
CUresult
ObserveStream(const Call& call, CUstream stream)
{
  const CUstream meant = Call::Meant(stream);
  CUresult error = kCudaSuccess;
  if (RunAhead::On()) {
    error = RunAhead::BeforeCall(OwnerOfKept(meant), meant, true, call.Name());
  }
  const CUresult result = ObserveStreamNow(call, meant);
  return error == kCudaSuccess ? result : error;
}

// The same for one that does not wait.
template <typename Call>
CUresult
QueryStream(const Call& call, CUstream stream)
{
  const CUstream meant = Call::Meant(stream);
  if (RunAhead::On()) {
    Queue* const queue = OwnerOfKept(meant);
    if (const CUresult error = RunAhead::TakeError(queue)) {
      return error;
    }
    if (RunAhead::IsBehind(queue, meant)) {
      return kCudaErrorNotReady;
    }
  }
  return ObserveStreamNow(call, meant);
}

// --- events ---

// 'queue' is that of the stream; null if it has none.
template <typename Function>
CUresult
RecordNow(const Function& function, CUevent event, Queue* queue, CUstream meant)
{
  Scheduler& scheduler = Scheduler::Get();
  const bool active = Scheduler::Active();
  if (active) {
    // An event of a capture says nothing about the stream's progress.
    scheduler.RecordedEvent(
        Number(event),
        queue == nullptr || Captures::Includes(meant) ? nullptr : queue,
        Number(meant));
  }
  const CUresult result = function();
  if (result != kCudaSuccess && active) {
    // It stands where it stood before, which says nothing about what came since.
    scheduler.ForgetEvent(Number(event));
  }
  return result;
}

// A record, or a wait for an event, behind what is kept of a queue.
template <typename Function>
struct KeptRecord {
  Queue* queue;
  CUstream stream;
  CUcontext context;
  CUevent event;
  Queue* stream_queue;
  Function function;

  static CUresult Run(RunAhead::Command* command)
  {
    const auto* const self = Stored<KeptRecord>(command);
    RunAhead::EnterContext(self->context);
    return RecordNow(
        self->function, self->event, self->stream_queue, self->stream);
  }
};

template <typename Function>
struct KeptWait {
  Queue* queue;
  CUstream stream;
  CUcontext context;
  Function function;

  static CUresult Run(RunAhead::Command* command)
  {
    const auto* const self = Stored<KeptWait>(command);
    RunAhead::EnterContext(self->context);
    return self->function();
  }
};

// A call about an event in a stream is kept behind what is kept of the stream's
// queue. What is kept about the event elsewhere comes first. True if the call
// was kept, or if it fails with '*error'.
template <typename MakeKept>
bool
KeepAbout(
    CUevent event, CUstream meant, const char* name, const MakeKept& make,
    CUresult* error)
{
  if (!CommandBuffer::AnyPending()) {
    return false;
  }
  Queue* const queue = OwnerOfKept(meant);
  RunAhead::AwaitElsewhere(event, queue, name);
  const bool is_shared = RunAhead::IsShared(event);
  *error = RunAhead::BeforeCall(queue, meant, is_shared, name);
  if (*error != kCudaSuccess) {
    return true;
  }
  if (is_shared || !RunAhead::Pending(queue)) {
    return false;
  }
  if (RunAhead::MayKeep(queue, meant) && Keep(make(queue), event)) {
    return true;
  }
  RunAhead::Drain(queue, name);
  return false;
}

// A record or a wait that is captured as one of the graph's own.
inline void
NoteIfOfGraph(unsigned int flags)
{
  if ((flags & kEventExternal) != 0 && RunAhead::On()) {
    RunAhead::NoteEventsInGraphs();
  }
}

template <typename Call>
CUresult
RecordEvent(
    const Call& call, CUevent event, CUstream stream, unsigned int flags = 0)
{
  const CUstream meant = Call::Meant(stream);
  NoteIfOfGraph(flags);
  Queue* const stream_queue =
      Scheduler::Active() ? OwnQueue(Scheduler::Get(), meant) : nullptr;
  if (RunAhead::On()) {
    using Function = std::decay_t<decltype(call.GetFunction())>;
    const auto make = [&](Queue* queue) {
      return KeptRecord<Function>{
          queue, meant,        RunAhead::CurrentContext(),
          event, stream_queue, call.GetFunction()};
    };
    CUresult error = kCudaSuccess;
    if (KeepAbout(event, meant, call.Name(), make, &error)) {
      return error;
    }
  }
  return RecordNow(call, event, stream_queue, meant);
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
WaitForEvent(
    const Call& call, CUstream stream, CUevent event, unsigned int flags)
{
  const CUstream meant = Call::Meant(stream);
  NoteIfOfGraph(flags);
  if (RunAhead::On()) {
    using Function = std::decay_t<decltype(call.GetFunction())>;
    const auto make = [&](Queue* queue) {
      return KeptWait<Function>{
          queue, meant, RunAhead::CurrentContext(), call.GetFunction()};
    };
    CUresult error = kCudaSuccess;
    if (KeepAbout(event, meant, call.Name(), make, &error)) {
      return error;
    }
  }
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
ObserveEventNow(const Call& call, CUevent event)
{
  const CUresult result = call();
  if (result == kCudaSuccess && Scheduler::Active()) {
    Scheduler::Get().FinishedEvent(Number(event));
  }
  return result;
}

template <typename Call>
CUresult
ObserveEvent(const Call& call, CUevent event)
{
  CUresult error = kCudaSuccess;
  RunAhead::Use use;
  if (RunAhead::On() && RunAhead::FindUse(event, &use)) {
    RunAhead::Await(use, call.Name());
    error = use.buffer->TakeError();
  }
  const CUresult result = ObserveEventNow(call, event);
  return error == kCudaSuccess ? result : error;
}

template <typename Call>
CUresult
QueryEvent(const Call& call, CUevent event)
{
  RunAhead::Use use;
  if (RunAhead::On() && RunAhead::FindUse(event, &use)) {
    if (const CUresult error = use.buffer->TakeError()) {
      return error;
    }
    if (use.Pending()) {
      return kCudaErrorNotReady;
    }
  }
  return ObserveEventNow(call, event);
}

// The time between them is not known before both are recorded.
template <typename Call>
CUresult
CompareEvents(const Call& call, CUevent from, CUevent to)
{
  RunAhead::Use use;
  if (RunAhead::On()) {
    for (const CUevent event : {from, to}) {
      if (RunAhead::FindUse(event, &use) && use.Pending()) {
        return kCudaErrorNotReady;
      }
    }
  }
  return call();
}

template <typename Call>
CUresult
DestroyEvent(const Call& call, CUevent event)
{
  if (RunAhead::On()) {
    RunAhead::AwaitElsewhere(event, nullptr, call.Name());
    RunAhead::ForgetEvent(event);
  }
  Scheduler::Get().ForgetEvent(Number(event));
  return call();
}

// Recorded behind all streams of a context, so it says nothing of the one where
// it was recorded before.
template <typename Call>
CUresult
RecordContext(const Call& call, CUevent event)
{
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
  }
  Scheduler::Get().ForgetEvent(Number(event));
  return call();
}

// Another process may record the event and wait for it from now on.
template <typename Call>
CUresult
ShareEvent(const Call& call, const CUevent* event)
{
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
  }
  const CUresult result = call();
  if (result == kCudaSuccess && RunAhead::On()) {
    RunAhead::ShareEvent(*event);
  }
  return result;
}

// A graph is to record an event or to wait for one.
template <typename Call>
CUresult
AddEventNode(const Call& call)
{
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
    RunAhead::NoteEventsInGraphs();
  }
  return call();
}

template <typename Call>
CUresult
AddNode(const Call& call, const void* parameters)
{
  const int type = parameters == nullptr
                       ? -1
                       : *static_cast<const int*>(parameters);  // comes first
  if (type == kGraphNodeWaitEvent || type == kGraphNodeRecordEvent) {
    return AddEventNode(call);
  }
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
  }
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
  CUresult error = kCudaSuccess;
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
    error = RunAhead::TakeError();
  }
  Scheduler& scheduler = Scheduler::Get();
  const auto launched = scheduler.LaunchedIn(Number(context));
  const CUresult result = call();
  if (result == kCudaSuccess) {
    for (const auto& entry : launched) {
      scheduler.Finished(entry.first, entry.second);
    }
  }
  return error == kCudaSuccess ? result : error;
}

// The primary context of a device; null if it has none at present.
CUcontext ActivePrimary(CUdevice device);

// 'by' is the function that is about to end it.
inline void
EndContext(CUcontext context, const char* by)
{
  if (RunAhead::On()) {
    RunAhead::Drain(by);
    RunAhead::ForgetStream();
    ForgetKernelParameters();
  }
  Collectives::ForgetNames();
  Captures::Get().ForgetContext(context);
  Scheduler::Get().ForgetContext(Number(context));
}

template <typename Call>
CUresult
DestroyContext(const Call& call, CUcontext context)
{
  EndContext(context, call.Name());
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
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
    RunAhead::ForgetStream();
    ForgetKernelParameters();
  }
  Collectives::ForgetNames();
  Inquiries::ForbidContext(Number(context));
  const CUresult result = call();
  if (ActivePrimary(device) == nullptr) {
    Captures::Get().ForgetContext(context);
    Scheduler::Get().ForgetContext(Number(context));
  }
  Inquiries::AllowContext(Number(context));
  return result;
}

// Its streams stay, but have nothing to do any more. It holds the primary context
// of its device.
template <typename Call>
CUresult
DestroyGreenContext(const Call& call, CUgreenCtx green)
{
  CUcontext context = nullptr;
  if (!Scheduler::Active() ||
      real::cuCtxFromGreenCtx(&context, green) != kCudaSuccess) {
    return call();
  }
  CUdevice device = 0;
  bool knows_device = false;
  {
    const ContextScope scope(context);
    knows_device = real::cuCtxGetDevice(&device) == kCudaSuccess;
  }
  EndContext(context, call.Name());
  return knows_device ? ReleasePrimary(call, device) : call();
}

// --- captures ---

template <typename Call>
CUresult
BeginCapture(const Call& call, CUstream stream)
{
  if (Scheduler::Disabled()) {
    return call();
  }
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
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
