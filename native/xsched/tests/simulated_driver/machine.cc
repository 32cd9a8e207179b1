// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "simulated_driver/machine.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "preempt/clock.h"

namespace simulated {

using xsched::kCudaErrorCaptureUnsupported;
using xsched::kCudaErrorInvalidContext;
using xsched::kCudaErrorInvalidDevice;
using xsched::kCudaErrorInvalidHandle;
using xsched::kCudaErrorNotReady;
using xsched::kCudaSuccess;
using xsched::NowNs;

constexpr CUresult kCudaErrorNotInitialized = 3;
constexpr CUresult kCudaErrorCaptureImplicit = 906;

#define LOCK_OR_RETURN_ERROR()               \
  std::unique_lock<std::mutex> lock(mutex_); \
  if (error_ != 0) {                         \
    return error_;                           \
  }                                          \
  static_assert(true, "ends in a semicolon")

#define FIND_OR_RETURN(name, handle) \
  const auto name = Find(handle);    \
  if (name == nullptr) {             \
    return kCudaErrorInvalidHandle;  \
  }                                  \
  static_assert(true, "ends in a semicolon")

Machine&
Machine::Get()
{
  static Machine* machine = new Machine;
  return *machine;
}

Machine::Machine()
{
  // In a child, the thread that held the lock when it was forked is missing,
  // and so is the device: every call says so.
  pthread_atfork(
      [] { Get().mutex_.lock(); }, [] { Get().mutex_.unlock(); },
      [] {
        Get().error_ = kCudaErrorNotInitialized;
        Get().mutex_.unlock();
      });
  for (int number = 0; number < kDevices; ++number) {
    std::thread(&Machine::Work, this, number).detach();
  }
}

Machine::Stream*
Machine::Find(CUstream stream)
{
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.destroyed) {
    ++stale_uses_;
    return nullptr;
  }
  return &found->second;
}

std::shared_ptr<Machine::Event>
Machine::Find(CUevent event)
{
  const auto found = events_.find(event);
  if (found == events_.end()) {
    ++stale_uses_;
    return nullptr;
  }
  return found->second;
}

template <typename Condition>
CUresult
Machine::WaitUntil(
    std::unique_lock<std::mutex>* lock, const Condition& condition)
{
  done_.wait(*lock, [&] { return error_ != 0 || condition(); });
  return error_;
}

// --- contexts ----------------------------------------------------------------

CUresult
Machine::CreateContext(int device, CUcontext* context)
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (device < 0 || device >= kDevices) {
    return kCudaErrorInvalidDevice;
  }
  *context = context_handles_.Take(&next_handle_);
  contexts_[*context] = {device};
  return kCudaSuccess;
}

CUresult
Machine::EndContext(CUcontext context)
{
  if (contexts_.erase(context) == 0) {
    ++stale_uses_;
    return kCudaErrorInvalidContext;
  }
  for (auto entry = streams_.begin(); entry != streams_.end();) {
    entry = entry->second.context == context ? EraseStream(entry)
                                             : std::next(entry);
  }
  for (auto entry = events_.begin(); entry != events_.end();) {
    if (entry->second->context == context) {
      event_handles_.Give(entry->first);
      entry = events_.erase(entry);
    } else {
      ++entry;
    }
  }
  for (auto entry = default_streams_.begin();
       entry != default_streams_.end();) {
    entry = entry->first.first == context ? default_streams_.erase(entry)
                                          : std::next(entry);
  }
  done_.notify_all();
  return kCudaSuccess;
}

CUresult
Machine::DestroyContext(CUcontext context)
{
  LOCK_OR_RETURN_ERROR();
  const CUresult result = EndContext(context);
  // That of a device's primary context comes again with that context.
  if (result == kCudaSuccess) {
    context_handles_.Give(context);
  }
  return result;
}

CUresult
Machine::DeviceOf(CUcontext context, int* device)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = contexts_.find(context);
  if (found == contexts_.end()) {
    return kCudaErrorInvalidContext;
  }
  *device = found->second.device;
  return kCudaSuccess;
}

bool
Machine::Uses(CUcontext context)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const bool exists = contexts_.count(context) != 0;
  stale_uses_ += exists ? 0 : 1;
  return exists;
}

CUresult
Machine::SynchronizeContext(CUcontext context)
{
  LOCK_OR_RETURN_ERROR();
  return WaitUntil(&lock, [&] {
    return std::all_of(streams_.begin(), streams_.end(), [&](auto& entry) {
      return entry.second.context != context || entry.second.operations.empty();
    });
  });
}

CUresult
Machine::WaitForDevice(CUcontext context)
{
  LOCK_OR_RETURN_ERROR();
  const auto found = contexts_.find(context);
  if (found == contexts_.end()) {
    return kCudaErrorInvalidContext;
  }
  const int device = found->second.device;
  return WaitUntil(&lock, [&] {
    return std::all_of(streams_.begin(), streams_.end(), [&](auto& entry) {
      return entry.second.device != device || entry.second.operations.empty();
    });
  });
}

CUresult
Machine::RetainPrimary(int device, CUcontext* context)
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (device < 0 || device >= kDevices) {
    return kCudaErrorInvalidDevice;
  }
  Primary& primary = primaries_[device];
  ++primary.retained;
  if (primary.context == nullptr) {
    primary.context = context_handles_.Take(&next_handle_);
  }
  contexts_[primary.context] = {device};
  *context = primary.context;
  return kCudaSuccess;
}

CUresult
Machine::ReleasePrimary(int device)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Primary& primary = primaries_[device];
  if (primary.retained == 0) {
    return kCudaErrorInvalidContext;
  }
  return --primary.retained == 0 && contexts_.count(primary.context) != 0
             ? EndContext(primary.context)
             : kCudaSuccess;
}

CUresult
Machine::ResetPrimary(int device)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const CUcontext context = primaries_[device].context;
  return contexts_.count(context) == 0 ? kCudaSuccess : EndContext(context);
}

CUresult
Machine::IsPrimaryActive(int device, int* active)
{
  std::lock_guard<std::mutex> lock(mutex_);
  *active = contexts_.count(primaries_[device].context) != 0 ? 1 : 0;
  return kCudaSuccess;
}

// --- streams -----------------------------------------------------------------

CUstream
Machine::AddStream(CUcontext context, Stream::Kind kind, int priority)
{
  const auto found = contexts_.find(context);
  if (found == contexts_.end()) {
    return nullptr;
  }
  const CUstream stream = stream_handles_.Take(&next_handle_);
  Stream& added = streams_[stream];
  added.life = ++last_life_;
  added.context = context;
  added.device = found->second.device;
  added.kind = kind;
  added.priority =
      std::min(kLeastPriority, std::max(kGreatestPriority, priority));
  return stream;
}

std::map<CUstream, Machine::Stream>::iterator
Machine::EraseStream(std::map<CUstream, Stream>::iterator stream)
{
  EndCaptureOf(stream->second.capture);
  stream_handles_.Give(stream->first);
  return streams_.erase(stream);
}

CUresult
Machine::CreateStream(
    CUcontext context, bool blocking, int priority, CUstream* stream)
{
  LOCK_OR_RETURN_ERROR();
  *stream = AddStream(
      context, blocking ? Stream::kBlocking : Stream::kNonBlocking, priority);
  return *stream == nullptr ? kCudaErrorInvalidContext : kCudaSuccess;
}

CUstream
Machine::DefaultStream(CUcontext context, const void* thread)
{
  std::lock_guard<std::mutex> lock(mutex_);
  CUstream& stream = default_streams_[{context, thread}];
  if (stream == nullptr) {
    stream = AddStream(
        context, thread == nullptr ? Stream::kLegacy : Stream::kBlocking, 0);
  }
  return stream;
}

CUresult
Machine::DestroyStream(CUstream handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  // What it holds is still done; Work takes it away after that.
  stream->destroyed = true;
  EndCaptureOf(stream->capture);
  if (stream->operations.empty()) {
    EraseStream(streams_.find(handle));
    return kCudaSuccess;
  }
  devices_[stream->device].changed.notify_one();
  return kCudaSuccess;
}

CUresult
Machine::FlagsOf(CUstream handle, unsigned int* flags)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  *flags = stream->kind == Stream::kNonBlocking ? 1 : 0;
  return kCudaSuccess;
}

CUresult
Machine::PriorityOf(CUstream handle, int* priority)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  *priority = stream->priority;
  return kCudaSuccess;
}

CUresult
Machine::ContextOf(CUstream handle, CUcontext* context)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  *context = stream->context;
  return kCudaSuccess;
}

CUresult
Machine::Submit(Stream* stream, Operation operation)
{
  if (stream->capture != 0) {
    return kCudaSuccess;  // becomes part of a graph: does not run
  }
  if (stream->kind == Stream::kLegacy &&
      std::any_of(streams_.begin(), streams_.end(), [&](const auto& entry) {
        return entry.second.context == stream->context &&
               entry.second.kind == Stream::kBlocking &&
               entry.second.capture != 0;
      })) {
    ++broken_captures_;  // would have to wait for what does not run
    return kCudaErrorCaptureImplicit;
  }
  operation.submitted = ++submitted_;
  operation.submitted_ns = NowNs();
  stream->operations.push_back(std::move(operation));
  devices_[stream->device].changed.notify_one();
  return kCudaSuccess;
}

bool
Machine::BreaksCapture(const Stream& stream, CUstream handle)
{
  if (stream.capture != 0) {
    return true;
  }
  const auto legacy = default_streams_.find({stream.context, nullptr});
  return legacy != default_streams_.end() && legacy->second == handle &&
         std::any_of(streams_.begin(), streams_.end(), [&](auto& entry) {
           return entry.second.context == stream.context &&
                  entry.second.capture != 0;
         });
}

CUresult
Machine::Launch(CUstream handle, CUfunction kernel, uint64_t parameter)
{
  LOCK_OR_RETURN_ERROR();
  if (launch_failures_ > 0) {
    --launch_failures_;
    return launch_error_;
  }
  FIND_OR_RETURN(stream, handle);
  return Submit(
      stream, {Operation::kKernel, kernel, nullptr, 0, 0, 0, parameter});
}

CUresult
Machine::LaunchGraph(CUstream stream, CUgraphExec graph)
{
  const CUresult result = Launch(stream, reinterpret_cast<CUfunction>(graph));
  CUevent event = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = graph_records_.find(graph);
    event = found == graph_records_.end() ? nullptr : found->second;
  }
  return result != kCudaSuccess || event == nullptr ? result
                                                    : Record(event, stream);
}

CUresult
Machine::AddRecord(CUgraph graph, CUevent event)
{
  LOCK_OR_RETURN_ERROR();
  graph_records_[graph] = event;
  return kCudaSuccess;
}

CUresult
Machine::SynchronizeStream(CUstream handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  if (BreaksCapture(*stream, handle)) {
    ++broken_captures_;
    return kCudaErrorCaptureUnsupported;
  }
  return WaitUntil(&lock, [&] {
    const auto found = streams_.find(handle);
    return found == streams_.end() || found->second.operations.empty();
  });
}

bool
Machine::IsUnsafe(const Caller& caller) const
{
  constexpr int kGlobal = 0;
  return caller.capture_mode != xsched::kCaptureModeRelaxed &&
         std::any_of(
             captures_.begin(), captures_.end(), [&](const auto& entry) {
               const Capture& capture = entry.second;
               return capture.mode == kGlobal ||
                      (capture.mode != xsched::kCaptureModeRelaxed &&
                       capture.thread == caller.thread);
             });
}

CUresult
Machine::QueryStream(CUstream handle, const Caller& caller)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  if (BreaksCapture(*stream, handle) || IsUnsafe(caller)) {
    ++broken_captures_;
    return kCudaErrorCaptureUnsupported;
  }
  // The stream itself stays: only destroyed ones are taken away.
  Advance(stream->device);
  return stream->operations.empty() ? kCudaSuccess : kCudaErrorNotReady;
}

CUresult
Machine::BeginCapture(CUstream handle, int mode, const Caller& caller)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  if (stream->capture != 0) {
    return kCudaErrorInvalidHandle;
  }
  stream->capture = ++last_capture_;
  captures_[stream->capture] = {mode, caller.thread};
  return kCudaSuccess;
}

void
Machine::EndCaptureOf(int capture)
{
  captures_.erase(capture);
  for (auto& entry : streams_) {
    if (capture != 0 && entry.second.capture == capture) {
      entry.second.capture = 0;
    }
  }
}

CUresult
Machine::EndCapture(CUstream handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  if (stream->capture == 0) {
    return kCudaErrorInvalidHandle;
  }
  EndCaptureOf(stream->capture);
  return kCudaSuccess;
}

CUresult
Machine::IsCapturing(CUstream handle, int* status)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(stream, handle);
  *status = stream->capture != 0 ? 1 : 0;
  return kCudaSuccess;
}

// --- events ------------------------------------------------------------------

CUresult
Machine::CreateEvent(CUcontext context, CUevent* event)
{
  LOCK_OR_RETURN_ERROR();
  if (contexts_.count(context) == 0) {
    return kCudaErrorInvalidContext;
  }
  *event = event_handles_.Take(&next_handle_);
  events_[*event] = std::make_shared<Event>();
  events_[*event]->context = context;
  return kCudaSuccess;
}

CUresult
Machine::DestroyEvent(CUevent event)
{
  std::lock_guard<std::mutex> lock(mutex_);
  FIND_OR_RETURN(found, event);
  events_.erase(event);
  event_handles_.Give(event);
  for (auto each = graph_records_.begin(); each != graph_records_.end();) {
    each = each->second == event ? graph_records_.erase(each) : std::next(each);
  }
  return kCudaSuccess;
}

CUresult
Machine::Record(CUevent event_handle, CUstream handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(event, event_handle);
  FIND_OR_RETURN(stream, handle);
  if (event->context != stream->context) {
    return kCudaErrorInvalidHandle;
  }
  event->capture = stream->capture;
  if (stream->capture == 0) {
    ++event->recorded;
  }
  return Submit(
      stream, {Operation::kRecord, nullptr, event, event->recorded, 0, 0});
}

CUresult
Machine::RecordIdle(CUevent event_handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(event, event_handle);
  event->completed = ++event->recorded;
  return kCudaSuccess;
}

CUresult
Machine::Wait(CUstream handle, CUevent event_handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(event, event_handle);
  FIND_OR_RETURN(stream, handle);
  if (event->capture != 0) {
    stream->capture = event->capture;  // the stream joins the capture
  }
  return Submit(
      stream, {Operation::kWait, nullptr, event, event->recorded, 0, 0});
}

CUresult
Machine::SynchronizeEvent(CUevent handle)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(event, handle);
  const uint64_t recorded = event->recorded;
  return WaitUntil(&lock, [&] { return event->completed >= recorded; });
}

CUresult
Machine::QueryEvent(CUevent handle, const Caller& caller)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(event, handle);
  if (IsUnsafe(caller)) {
    ++broken_captures_;
    return kCudaErrorCaptureUnsupported;
  }
  Advance(contexts_[event->context].device);
  return event->completed >= event->recorded ? kCudaSuccess
                                             : kCudaErrorNotReady;
}

CUresult
Machine::Elapsed(CUevent from, CUevent to, float* milliseconds)
{
  LOCK_OR_RETURN_ERROR();
  FIND_OR_RETURN(first, from);
  FIND_OR_RETURN(last, to);
  *milliseconds =
      static_cast<float>(static_cast<double>(last->at_ns - first->at_ns) / 1e6);
  return kCudaSuccess;
}

// --- the devices at work -------------------------------------------------------

bool
Machine::MayBegin(const Stream& stream) const
{
  if (stream.kind == Stream::kNonBlocking) {
    return true;
  }
  const uint64_t submitted = stream.operations.front().submitted;
  const auto waits_for = [&](const Stream& other) {
    return other.context == stream.context &&
           other.kind != Stream::kNonBlocking &&
           (other.kind == Stream::kLegacy) !=
               (stream.kind == Stream::kLegacy) &&
           !other.operations.empty() &&
           other.operations.front().submitted < submitted;
  };
  return std::none_of(streams_.begin(), streams_.end(), [&](const auto& entry) {
    return waits_for(entry.second);
  });
}

void
Machine::DoInstantOperations(int number)
{
  bool recorded = false;
  for (bool done = true; done;) {
    done = false;
    for (auto entry = streams_.begin(); entry != streams_.end();) {
      Stream& stream = entry->second;
      auto& operations = stream.operations;
      while (stream.device == number && !operations.empty() &&
             operations.front().kind != Operation::kKernel &&
             MayBegin(stream)) {
        Event& event = *operations.front().event;
        const uint64_t version = operations.front().version;
        if (operations.front().kind == Operation::kRecord) {
          event.completed = std::max(event.completed, version);
          event.at_ns = std::max(
              devices_[number].now_ns, operations.front().submitted_ns);
          recorded = true;
        } else if (event.completed < version) {
          break;
        }
        operations.pop_front();
        done = true;  // other streams may wait for it
      }
      entry = stream.destroyed && operations.empty() ? EraseStream(entry)
                                                     : std::next(entry);
    }
  }
  if (recorded) {
    // So may streams of other devices.
    for (Device& device : devices_) {
      device.changed.notify_one();
    }
  }
}

std::map<CUstream, Machine::Stream>::iterator
Machine::NextKernel(int number, int64_t* begins_ns)
{
  const auto has_kernel = [this, number](const Stream& stream) {
    return stream.device == number && !stream.operations.empty() &&
           stream.operations.front().kind == Operation::kKernel &&
           MayBegin(stream);
  };
  int64_t first_ns = INT64_MAX;
  for (const auto& entry : streams_) {
    if (has_kernel(entry.second)) {
      first_ns =
          std::min(first_ns, entry.second.operations.front().submitted_ns);
    }
  }
  *begins_ns = std::max(devices_[number].now_ns, first_ns);
  auto best = streams_.end();
  for (auto entry = streams_.begin(); entry != streams_.end(); ++entry) {
    const Stream& stream = entry->second;
    // What came later is not known then.
    if (!has_kernel(stream) ||
        stream.operations.front().submitted_ns > *begins_ns) {
      continue;
    }
    if (best == streams_.end() || stream.priority < best->second.priority ||
        (stream.priority == best->second.priority &&
         stream.operations.front().submitted <
             best->second.operations.front().submitted)) {
      best = entry;
    }
  }
  return best;
}

void
Machine::Advance(int number)
{
  Device& device = devices_[number];
  const int64_t now_ns = NowNs();
  for (;;) {
    DoInstantOperations(number);
    if (device.held) {
      break;
    }
    if (device.running != 0) {
      if (device.until_ns > now_ns) {
        break;
      }
      device.now_ns = device.until_ns;
      const auto ran = std::find_if(
          streams_.begin(), streams_.end(), [&](const auto& entry) {
            return entry.second.life == device.running;
          });
      if (ran != streams_.end()) {  // its context may be gone
        ran->second.operations.pop_front();
      }
      device.running = 0;
      continue;
    }
    int64_t begins_ns = 0;
    const auto next = NextKernel(number, &begins_ns);
    if (next == streams_.end()) {
      break;
    }
    const Operation& kernel = next->second.operations.front();
    const uint64_t microseconds =
        reinterpret_cast<uint64_t>(kernel.kernel) & 0xFFFFFFFF;
    runs_.push_back(
        {next->first, kernel.kernel, kernel.submitted_ns, begins_ns,
         kernel.parameter});
    device.running = next->second.life;
    device.until_ns = begins_ns + static_cast<int64_t>(microseconds) * 1000;
    if (hold_during_ != nullptr && kernel.kernel == hold_during_) {
      hold_during_ = nullptr;
      device.held = true;
    }
  }
  done_.notify_all();
}

void
Machine::Work(int number)
{
  Device& device = devices_[number];
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    Advance(number);
    if (device.held || device.running == 0) {
      device.changed.wait(lock);
    } else {
      device.changed.wait_until(
          lock, std::chrono::steady_clock::time_point(
                    std::chrono::nanoseconds(device.until_ns)));
    }
  }
}

// --- control -------------------------------------------------------------------

std::vector<Execution>
Machine::TakeRuns()
{
  std::lock_guard<std::mutex> lock(mutex_);
  for (int number = 0; number < kDevices; ++number) {
    Advance(number);
  }
  return std::exchange(runs_, {});
}

void
Machine::SetError(CUresult error)
{
  std::lock_guard<std::mutex> lock(mutex_);
  error_ = error;
  done_.notify_all();
}

void
Machine::FailLaunches(int count, CUresult error)
{
  std::lock_guard<std::mutex> lock(mutex_);
  launch_failures_ = count;
  launch_error_ = error;
}

void
Machine::Hold(bool hold, int device)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Device& changed = devices_[device];
  Advance(device);
  if (changed.held && !hold) {
    changed.now_ns = NowNs();
    changed.until_ns = std::max(changed.until_ns, changed.now_ns);
  }
  changed.held = hold;
  changed.changed.notify_one();
}

void
Machine::HoldDuring(CUfunction kernel)
{
  std::lock_guard<std::mutex> lock(mutex_);
  hold_during_ = kernel;
}

void
Machine::AtNextRecord(std::function<void()> what)
{
  std::lock_guard<std::mutex> lock(mutex_);
  at_next_record_ = std::move(what);
}

std::function<void()>
Machine::TakeAtNextRecord()
{
  std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(at_next_record_, nullptr);
}

int
Machine::LiveEvents()
{
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(events_.size());
}

int
Machine::BrokenCaptures()
{
  std::lock_guard<std::mutex> lock(mutex_);
  return broken_captures_;
}

int
Machine::StaleUses()
{
  std::lock_guard<std::mutex> lock(mutex_);
  return stale_uses_;
}

}  // namespace simulated
