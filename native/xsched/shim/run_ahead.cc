// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/run_ahead.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "preempt/log.h"
#include "preempt/options.h"

namespace xsched {
namespace {

// --- what a thread has kept --------------------------------------------------

// The last call of this thread in a buffer.
struct Own {
  Queue* queue = nullptr;
  CommandBuffer* buffer = nullptr;
  uint64_t position = 0;

  bool Pending() const
  {
    return buffer != nullptr && buffer->Done() < position;
  }
};

thread_local std::array<Own, 4> own_calls;

// --- streams -----------------------------------------------------------------

// Grows whenever a stream is destroyed: a handle may be that of another one.
std::atomic<uint64_t> streams_version{0};

CommandBuffer::Stream
AskForKind(CUstream stream)
{
  constexpr unsigned int kNonBlocking = 1;
  unsigned int flags = 0;
  return real::cuStreamGetFlags(stream, &flags) == kCudaSuccess &&
                 (flags & kNonBlocking) != 0
             ? CommandBuffer::Stream::kNonBlocking
             : CommandBuffer::Stream::kBlocking;
}

CommandBuffer::Stream
KindOf(CUstream stream)
{
  struct Known {
    CUstream stream = nullptr;
    uint64_t version = 0;
    CommandBuffer::Stream kind = CommandBuffer::Stream::kBlocking;
  };
  thread_local Known last;
  if (IsDefaultStream(stream)) {
    return Number(stream) == kStreamPerThread ? CommandBuffer::Stream::kBlocking
                                              : CommandBuffer::Stream::kLegacy;
  }
  const uint64_t version = streams_version.load(std::memory_order_acquire);
  if (last.stream != stream || last.version != version) {
    last = {stream, version, AskForKind(stream)};
  }
  return last.kind;
}

// The buffers with something that a stream waits for by itself.
template <typename Visit>
void
ForEachImplied(CUstream stream, const Visit& visit)
{
  using Stream = CommandBuffer::Stream;
  const bool legacy = CommandBuffer::AnyPending(Stream::kLegacy);
  if (!legacy && !CommandBuffer::AnyPending(Stream::kBlocking)) {
    return;
  }
  const Stream kind = KindOf(stream);
  if (kind == Stream::kNonBlocking) {
    return;
  }
  CommandBuffer::ForEach([&](CommandBuffer* buffer) {
    if (buffer->Pending(Stream::kLegacy) ||
        (kind == Stream::kLegacy && buffer->Pending(Stream::kBlocking))) {
      visit(buffer);
    }
  });
}

// --- events ------------------------------------------------------------------

struct Uses {
  std::mutex mutex;
  std::unordered_map<CUevent, RunAhead::Use> of;
  // Without the lock: whether there are any.
  std::atomic<bool> any{false};
  std::unordered_set<CUevent> shared;
  std::atomic<bool> any_shared{false};
};

Uses&
GetUses()
{
  // Never destroyed: launches may go on while the process exits.
  static Uses* uses = new Uses;
  return *uses;
}

bool
NoteUse(CUevent event, const RunAhead::Use& use)
{
  Uses& uses = GetUses();
  std::lock_guard<std::mutex> lock(uses.mutex);
  try {
    uses.of[event] = use;
  } catch (const std::bad_alloc&) {
    return false;
  }
  uses.any.store(true, std::memory_order_release);
  return true;
}

// --- what waited, for people ---------------------------------------------------

struct Waits {
  std::mutex mutex;
  struct Entry {
    uint64_t count = 0;
    int64_t ns = 0;
  };
  std::unordered_map<std::string, Entry> by;
};

Waits&
GetWaits()
{
  static Waits* waits = new Waits;
  return *waits;
}

// So many functions that waited are in the log: those that did for longest.
constexpr size_t kMaxReported = 8;

std::string
Milliseconds(int64_t nanoseconds)
{
  return std::to_string(nanoseconds / 1000000) + " ms";
}

void
Report()
{
  CommandBuffer::Counters sum;
  CommandBuffer::ForEach(
      [&](const CommandBuffer* buffer) { sum.Add(buffer->CountAll()); });
  std::vector<std::pair<std::string, Waits::Entry>> waits;
  {
    Waits& all = GetWaits();
    std::lock_guard<std::mutex> lock(all.mutex);
    waits.assign(all.by.begin(), all.by.end());
  }
  std::sort(waits.begin(), waits.end(), [](const auto& a, const auto& b) {
    return a.second.ns > b.second.ns;
  });
  std::string text;
  for (size_t i = 0; i < waits.size() && i < kMaxReported; ++i) {
    text += (i == 0 ? "" : ", ") + waits[i].first + " " +
            std::to_string(waits[i].second.count) + " times for " +
            Milliseconds(waits[i].second.ns);
  }
  if (waits.size() > kMaxReported) {
    text += " and " + std::to_string(waits.size() - kMaxReported) + " others";
  }
  Log(LogLevel::kInfo,
      "ran ahead by at most %llu calls: kept %llu, of which %llu failed; no "
      "room %llu times for %s; waited for: %s",
      static_cast<unsigned long long>(sum.most),
      static_cast<unsigned long long>(sum.kept),
      static_cast<unsigned long long>(sum.failed),
      static_cast<unsigned long long>(sum.full),
      Milliseconds(sum.full_ns).c_str(), text.empty() ? "-" : text.c_str());
}

void
AtExit()
{
  if (!RunAhead::On()) {
    return;
  }
  // Nobody waits for what other threads, or the ends of others, launch from now
  // on.
  RunAhead::Stop();
  RunAhead::Drain("exit");
  Report();
}

}  // namespace

std::atomic<bool> RunAhead::on_{false};
std::atomic<bool> RunAhead::stopped_{false};
std::atomic<bool> RunAhead::graphs_have_events_{false};

bool
RunAhead::Read()
{
  const bool on = GetOptions().run_ahead != 0 && !Scheduler::Disabled();
  if (on) {
    on_.store(true, std::memory_order_relaxed);
  }
  return on;
}

bool
RunAhead::Stop()
{
  return !stopped_.exchange(true, std::memory_order_relaxed);
}

void
RunAhead::Await(CommandBuffer* buffer, uint64_t position, const char* by)
{
  const int64_t waited_ns = buffer->Await(position);
  if (waited_ns == 0) {
    return;
  }
  Waits& waits = GetWaits();
  std::lock_guard<std::mutex> lock(waits.mutex);
  try {
    Waits::Entry& entry = waits.by[by];
    ++entry.count;
    entry.ns += waited_ns;
  } catch (const std::bad_alloc&) {
    // One that is not counted.
  }
}

void
RunAhead::Await(const Use& use, const char* by)
{
  Await(use.buffer, use.position, by);
}

void
RunAhead::Drain(const char* by)
{
  if (!CommandBuffer::AnyPending()) {
    return;
  }
  CommandBuffer::ForEach(
      [by](CommandBuffer* buffer) { Await(buffer, buffer->Pushed(), by); });
}

void
RunAhead::Drain(Queue* queue, const char* by)
{
  if (CommandBuffer* const buffer = BufferOf(queue)) {
    Await(buffer, buffer->Pushed(), by);
  }
}

CUresult
RunAhead::BeforeWork(Queue* queue, CUstream stream, bool own, const char* by)
{
  if (!CommandBuffer::AnyPending()) {
    return TakeError(queue);
  }
  if (queue == nullptr) {
    Drain(by);
    return kCudaSuccess;
  }
  const CommandBuffer* const mine = BufferOf(queue);
  for (const Own& each : own_calls) {
    if (each.buffer != mine && each.Pending()) {
      Await(each.buffer, each.position, by);
      // It is ready with the thread's work only now.
      Scheduler::RememberWork(each.queue);
    }
  }
  return BeforeCall(queue, stream, own, by);
}

CUresult
RunAhead::BeforeCall(Queue* queue, CUstream stream, bool own, const char* by)
{
  const CommandBuffer* const mine = BufferOf(queue);
  ForEachImplied(stream, [&](CommandBuffer* buffer) {
    if (buffer != mine) {
      Await(buffer, buffer->Pushed(), by);
    }
  });
  if (own) {
    Drain(queue, by);
  }
  return TakeError(queue);
}

bool
RunAhead::IsBehind(const Queue* queue, CUstream stream)
{
  bool is_behind = Pending(queue);
  ForEachImplied(
      stream, [&is_behind](const CommandBuffer*) { is_behind = true; });
  return is_behind;
}

CUresult
RunAhead::TakeError()
{
  CUresult error = kCudaSuccess;
  CommandBuffer::ForEach([&error](CommandBuffer* buffer) {
    const CUresult found = buffer->TakeError();
    error = error == kCudaSuccess ? found : error;
  });
  return error;
}

bool
RunAhead::MayKeep(const Queue* queue, CUstream stream)
{
  const bool its_own =
      Number(stream) == queue->stream.load(std::memory_order_relaxed) ||
      Number(stream) == kStreamLegacy;
  return its_own && !stopped_.load(std::memory_order_relaxed) &&
         !Captures::Any() &&
         queue->held_back.load(std::memory_order_relaxed) == 0 &&
         !Scheduler::HasOwnWorkAbove(*queue);
}

CommandBuffer*
RunAhead::MakeBuffer(Queue* queue)
{
  CommandBuffer* buffer = BufferOf(queue);
  if (buffer != nullptr) {
    return buffer;
  }
  // After the driver, and the watchers, have registered their own ends, which thus
  // come later.
  static const int registered = atexit(&AtExit);
  (void)registered;
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  buffer = BufferOf(queue);
  if (buffer == nullptr) {
    try {
      buffer = new CommandBuffer(GetOptions().run_ahead);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    // Release: it is complete before others find it.
    queue->ahead.store(buffer, std::memory_order_release);
  }
  return buffer;
}

bool
RunAhead::Push(
    Queue* queue, CommandBuffer* buffer, std::unique_ptr<Command> command,
    CUstream stream, CUevent event)
{
  command->stream = KindOf(stream);
  const uint64_t position = buffer->Push(std::move(command));
  if (position == 0) {
    return false;
  }
  if (event != nullptr && !NoteUse(event, {buffer, position})) {
    buffer->Await(position);
  }
  Scheduler::RememberWork(queue);
  auto place = std::find_if(
      own_calls.begin(), own_calls.end(),
      [buffer](const Own& own) { return own.buffer == buffer; });
  if (place == own_calls.end()) {
    place = std::find_if(
        own_calls.begin(), own_calls.end(),
        [](const Own& own) { return !own.Pending(); });
  }
  if (place == own_calls.end()) {
    place = own_calls.begin();
    Await(place->buffer, place->position, "another stream");
  }
  *place = {queue, buffer, position};
  return true;
}

// --- events ------------------------------------------------------------------

bool
RunAhead::FindUse(CUevent event, Use* use)
{
  Uses& uses = GetUses();
  if (!uses.any.load(std::memory_order_acquire)) {
    return false;
  }
  std::lock_guard<std::mutex> lock(uses.mutex);
  const auto found = uses.of.find(event);
  if (found == uses.of.end()) {
    return false;
  }
  *use = found->second;
  if (!use->Pending()) {
    uses.of.erase(found);
    uses.any.store(!uses.of.empty(), std::memory_order_release);
  }
  return true;
}

void
RunAhead::AwaitElsewhere(CUevent event, const Queue* queue, const char* by)
{
  Use use;
  if (FindUse(event, &use) && use.buffer != BufferOf(queue)) {
    Await(use, by);
  }
}

void
RunAhead::ShareEvent(CUevent event)
{
  Uses& uses = GetUses();
  std::lock_guard<std::mutex> lock(uses.mutex);
  try {
    uses.shared.insert(event);
  } catch (const std::bad_alloc&) {
    Stop();
    return;
  }
  uses.any_shared.store(true, std::memory_order_release);
}

bool
RunAhead::IsShared(CUevent event)
{
  Uses& uses = GetUses();
  if (!uses.any_shared.load(std::memory_order_acquire)) {
    return false;
  }
  std::lock_guard<std::mutex> lock(uses.mutex);
  return uses.shared.count(event) != 0;
}

void
RunAhead::ForgetEvent(CUevent event)
{
  Uses& uses = GetUses();
  if (uses.any.load(std::memory_order_acquire) ||
      uses.any_shared.load(std::memory_order_acquire)) {
    std::lock_guard<std::mutex> lock(uses.mutex);
    uses.of.erase(event);
    uses.any.store(!uses.of.empty(), std::memory_order_release);
    uses.shared.erase(event);
    uses.any_shared.store(!uses.shared.empty(), std::memory_order_release);
  }
}

void
RunAhead::ForgetStream()
{
  streams_version.fetch_add(1, std::memory_order_release);
}

// --- for commands --------------------------------------------------------------

CUcontext
RunAhead::CurrentContext()
{
  CUcontext context = nullptr;
  return real::cuCtxGetCurrent(&context) == kCudaSuccess ? context : nullptr;
}

void
RunAhead::EnterContext(CUcontext context)
{
  thread_local bool relaxed = false;
  if (!relaxed) {
    // Its calls are none that a capture of another thread might forbid.
    int mode = kCaptureModeRelaxed;
    real::cuThreadExchangeStreamCaptureMode(&mode);
    relaxed = true;
  }
  if (context != CurrentContext()) {
    real::cuCtxSetCurrent(context);
  }
}

}  // namespace xsched
