// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The behaviours in work.def: launches and large copies pass the gate, other
// work only makes its queue ready.

#ifndef XSCHED_SHIM_WORK_H_
#define XSCHED_SHIM_WORK_H_

#include <algorithm>

#include "cuda/capture.h"
#include "cuda/functions.h"
#include "preempt/scheduler.h"
#include "shim/call.h"
#include "shim/collectives.h"
#include "shim/kernel_copy.h"
#include "shim/run_ahead.h"
#include "shim/transparent.h"

namespace xsched {

// A kernel with its launch shape.
inline LaunchKey
Grid(
    const void* function, unsigned int gx = 1, unsigned int gy = 1,
    unsigned int gz = 1, unsigned int bx = 1, unsigned int by = 1,
    unsigned int bz = 1)
{
  uint64_t shape = Mix(gx | static_cast<uint64_t>(gy) << 32);
  shape = Mix(shape ^ (gz | static_cast<uint64_t>(bx) << 32));
  shape = Mix(shape ^ (by | static_cast<uint64_t>(bz) << 32));
  return {Number(function), shape, LaunchKey::kKernel};
}

// The driver says what is wrong with a null configuration.
inline LaunchKey
GridOf(const CUlaunchConfig* config, CUfunction function)
{
  return config == nullptr ? Grid(function)
                           : Grid(
                                 function, config->gridDimX, config->gridDimY,
                                 config->gridDimZ, config->blockDimX,
                                 config->blockDimY, config->blockDimZ);
}

// Such a launch with all its arguments.
inline KernelLaunch
KernelWith(
    CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
    unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
    void** parameters, void** extra)
{
  return {
      KernelLaunch::kPlain,
      function,
      {gx, gy, gz, bx, by, bz, shared, nullptr, nullptr, 0},
      parameters,
      extra};
}

inline KernelLaunch
Cooperative(KernelLaunch launch)
{
  launch.kind = KernelLaunch::kCooperative;
  return launch;
}

inline KernelLaunch
KernelOf(
    const CUlaunchConfig* config, CUfunction function, void** parameters,
    void** extra)
{
  return {
      KernelLaunch::kWithAttributes, function,
      config == nullptr ? CUlaunchConfig{} : *config, parameters, extra};
}

inline CUstream
StreamOf(const CUlaunchConfig* config)
{
  return config == nullptr ? nullptr : config->hStream;
}

// The queue that the calling thread works for in the current context.
inline Queue*
CurrentQueue(const Scheduler& scheduler)
{
  CUcontext context = nullptr;
  return real::cuCtxGetCurrent(&context) == kCudaSuccess
             ? scheduler.CurrentOfThread(Number(context))
             : nullptr;
}

// The queue of the calling thread's work in a stream without one. Apart, so as
// not to slow down launches into streams that have one.
__attribute__((noinline)) inline Queue*
QueueOfThread(const Scheduler& scheduler, CUstream stream)
{
  CUcontext context = nullptr;
  if (real::cuCtxGetCurrent(&context) != kCudaSuccess || context == nullptr) {
    return nullptr;
  }
  bool adopts = false;
  Queue* queue =
      scheduler.OfThread(Number(context), IsDefaultStream(stream), &adopts);
  return queue == nullptr && adopts ? AdoptDefaultStreams(context) : queue;
}

// The queue that work in a stream belongs to: the stream's own, or the one that
// this thread works for. Libraries launch into streams of their own, and
// programs into the default streams, on behalf of the stream they were given.
inline Queue*
OwnerOf(const Scheduler& scheduler, CUstream stream)
{
  Queue* queue =
      IsDefaultStream(stream) ? nullptr : scheduler.Find(Number(stream));
  return queue != nullptr ? queue : QueueOfThread(scheduler, stream);
}

// Null if it has none, or if the work is being captured and so does not run.
inline Queue*
QueueOfWork(const Scheduler& scheduler, CUstream stream)
{
  Queue* queue = OwnerOf(scheduler, stream);
  return queue == nullptr || Captures::Includes(stream) ? nullptr : queue;
}

// Whether work that was just given to a stream can only be asked for by an
// event behind it. The order matters: who begins a capture says so first, and
// then looks for work in the legacy streams.
inline bool
IsUnaskedNow(uint64_t stream)
{
  return __builtin_expect(stream == kStreamLegacy, 0) && Captures::Any();
}

// Work of a queue that is in the driver. A thread may be cancelled there.
class Working {
 public:
  // 'stream' is 0 if it is work in no stream.
  Working(Queue* queue, uint64_t stream)
      : queue_(queue), stream_(stream),
        unasked_(Scheduler::Get().BeforeWork(queue, stream))
  {
  }
  ~Working()
  {
    if (unasked_ || IsUnaskedNow(stream_)) {
      Scheduler::Get().RecordEnd(queue_, stream_);
    }
    Scheduler::Get().AfterWork(queue_);
  }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  Queue* const queue_;
  const uint64_t stream_;
  const bool unasked_;
};

// In a gang. Apart, so as not to slow down the others' launches.
__attribute__((noinline)) inline LaunchTicket
BeforeLaunchInGang(
    Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience)
{
  const bool collective = Collectives::Include(key, *queue);
  LaunchTicket ticket;
  if (collective && !Gate::AwaitGang(queue, patience)) {
    ticket.deferred = true;
    return ticket;
  }
  ticket = Scheduler::Get().BeforeLaunch(
      queue, stream, [&key] { return key; }, patience);
  if (!ticket.deferred) {
    Gate::GoInGang(queue, ticket, collective);
  }
  return ticket;
}

// The same for a launch, which waits for its turn first.
class Launching {
 public:
  template <typename LazyGrid>
  __attribute__((always_inline)) Launching(
      Queue* queue, uint64_t stream, const LazyGrid& grid,
      Patience patience = Patience::kWaits)
      : queue_(queue), stream_(stream),
        ticket_(
            __builtin_expect(Scheduler::InGang(), 0)
                ? BeforeLaunchInGang(queue, stream, grid(), patience)
                : Scheduler::Get().BeforeLaunch(queue, stream, grid, patience))
  {
  }
  // Inlined, as is the rest: a launch takes less than a call.
  __attribute__((always_inline)) ~Launching()
  {
    if (ticket_.deferred) {
      return;
    }
    if (IsUnaskedNow(stream_)) {
      Scheduler::Get().RecordEnd(queue_, stream_);
    }
    Scheduler::Get().AfterLaunch(queue_, stream_, ticket_, launched_);
  }
  Launching(const Launching&) = delete;
  Launching& operator=(const Launching&) = delete;

  // Only if it may not wait: then it is not to be launched now.
  bool IsDeferred() const { return ticket_.deferred; }
  void Returned(bool launched) { launched_ = launched; }

 private:
  Queue* const queue_;
  const uint64_t stream_;
  const LaunchTicket ticket_;
  bool launched_ = false;
};

// --- what of a call may be kept for later (run_ahead.h) ---

// Nothing: what its arguments point to is the application's.
struct KeptNever {
  static constexpr bool MayBe() { return false; }
  template <typename Call>
  static constexpr std::nullptr_t Copy(const Call&, CUstream)
  {
    return nullptr;
  }
};

// All of it: it has no pointers to the host's memory.
struct KeptAsItIs {
  static constexpr bool MayBe() { return true; }
  template <typename Call>
  static auto Copy(const Call& call, CUstream)
  {
    return call.GetFunction();
  }
};

// The same for a copy, if all that it reads and writes is memory of the device or
// pinned memory, which the application leaves alone until the stream is there. From
// other memory, the driver would have read before it returns.
struct KeptIfPinned {
  CUdeviceptr to;
  CUdeviceptr from;

  bool MayBe() const { return IsPinned(to) && IsPinned(from); }
  static bool IsPinned(CUdeviceptr memory)
  {
    int type = 0;
    return real::cuPointerGetAttribute(&type, kPointerMemoryType, memory) ==
           kCudaSuccess;
  }
  template <typename Call>
  static auto Copy(const Call& call, CUstream)
  {
    return call.GetFunction();
  }
};

// A kernel, with its parameters.
template <typename LazyKernel>
struct KeptKernel {
  const LazyKernel& kernel;

  static constexpr bool MayBe() { return true; }

  template <typename Call>
  KernelLaunch Copy(const Call&, CUstream stream) const
  {
    KernelLaunch launch = kernel();
    launch.config.hStream = stream;
    return launch;
  }
};

template <typename LazyKernel>
KeptKernel<LazyKernel>
KeptWith(const LazyKernel& kernel)
{
  return {kernel};
}

// What the function points to is moved to the memory as well.
template <typename Function>
bool
MoveTo(std::vector<unsigned char>*, Function*)
{
  return true;
}

inline bool
MoveTo(std::vector<unsigned char>* memory, KernelLaunch* launch)
{
  return launch->MoveTo(memory);
}

// A launch that is kept.
template <typename Function>
struct KeptLaunch {
  Queue* queue;
  CUstream stream;
  CUcontext context;
  LaunchKey key;
  Function function;

  static CUresult Run(RunAhead::Command* command)
  {
    const auto* const self = Stored<KeptLaunch>(command);
    RunAhead::EnterContext(self->context);
    const auto grid = [self] { return self->key; };
    Launching launching(
        self->queue, Number(self->stream), grid, Patience::kWaitsForTurn);
    const CUresult result = self->function();
    launching.Returned(result == kCudaSuccess);
    return result;
  }
};

// Work that does not wait, but comes behind what is kept.
template <typename Function>
struct KeptWork {
  Queue* queue;
  CUstream stream;
  CUcontext context;
  Function function;

  static CUresult Run(RunAhead::Command* command)
  {
    const auto* const self = Stored<KeptWork>(command);
    RunAhead::EnterContext(self->context);
    const Working working(self->queue, Number(self->stream));
    return self->function();
  }
};

template <typename Kept>
bool
Keep(const Kept& kept, CUevent event = nullptr)
{
  return RunAhead::Keep(
      kept.queue, kept.stream, event, [&kept](RunAhead::Command* command) {
        command->run = &Kept::Run;
        return MoveTo(&command->memory, &Store(command, kept)->function);
      });
}

// The same as Launch, in a process that may run ahead.
template <typename Call, typename LazyGrid, typename Kept>
__attribute__((noinline)) CUresult
LaunchAhead(
    const Call& call, Queue* queue, CUstream meant, const LazyGrid& grid,
    const Kept& kept)
{
  if (const CUresult error =
          RunAhead::BeforeWork(queue, meant, false, call.Name())) {
    return error;
  }
  if (queue == nullptr) {
    return call();
  }
  using Function = decltype(kept.Copy(call, meant));
  if constexpr (!std::is_same_v<Function, std::nullptr_t>) {
    const bool waits =
        RunAhead::Pending(queue) || !Scheduler::PassesAtOnce(*queue);
    if (waits && RunAhead::MayKeep(queue, meant) && kept.MayBe()) {
      if (!RunAhead::Pending(queue)) {
        Launching launching(queue, Number(meant), grid, Patience::kDefers);
        if (!launching.IsDeferred()) {
          const CUresult result = call();
          launching.Returned(result == kCudaSuccess);
          return result;
        }
      }
      if (Keep(KeptLaunch<Function>{
              queue, meant, RunAhead::CurrentContext(), grid(),
              kept.Copy(call, meant)})) {
        return kCudaSuccess;
      }
    }
  }
  RunAhead::Drain(queue, call.Name());
  Launching launching(queue, Number(meant), grid);
  const CUresult result = call();
  launching.Returned(result == kCudaSuccess);
  return result;
}

template <typename Call, typename LazyGrid, typename Kept = KeptNever>
CUresult
Launch(
    const Call& call, CUstream stream, const LazyGrid& grid,
    const Kept& kept = {})
{
  if (!Scheduler::Active()) {
    return call();
  }
  Scheduler& scheduler = Scheduler::Get();
  const CUstream meant = Call::Meant(stream);
  Queue* queue = QueueOfWork(scheduler, meant);
  if (__builtin_expect(RunAhead::On(), 0)) {
    return LaunchAhead(call, queue, meant, grid, kept);
  }
  if (queue == nullptr) {
    return call();
  }
  Launching launching(queue, Number(meant), grid);
  const CUresult result = call();
  launching.Returned(result == kCudaSuccess);
  return result;
}

// Its launch does not say which events a graph records or waits for.
template <typename Call>
CUresult
LaunchGraph(const Call& call, CUstream stream, CUgraphExec graph)
{
  const auto grid = [graph] {
    return LaunchKey{Number(graph), Grid(nullptr).shape, LaunchKey::kGraph};
  };
  if (RunAhead::On() && RunAhead::GraphsHaveEvents()) {
    RunAhead::Drain(call.Name());
    return Launch(call, stream, grid);
  }
  return Launch(call, stream, grid, KeptAsItIs());
}

template <typename Call, typename Kept = KeptNever>
CUresult
Work(const Call& call, CUstream stream, const Kept& kept = {})
{
  if (!Scheduler::Active()) {
    return call();
  }
  Scheduler& scheduler = Scheduler::Get();
  const CUstream meant = Call::Meant(stream);
  Queue* queue = QueueOfWork(scheduler, meant);
  if (RunAhead::On()) {
    using Function = decltype(kept.Copy(call, meant));
    constexpr bool kMayBeKept = !std::is_same_v<Function, std::nullptr_t>;
    if (const CUresult error =
            RunAhead::BeforeWork(queue, meant, !kMayBeKept, call.Name())) {
      return error;
    }
    if constexpr (kMayBeKept) {
      if (RunAhead::Pending(queue)) {
        if (RunAhead::MayKeep(queue, meant) && kept.MayBe() &&
            Keep(KeptWork<Function>{
                queue, meant, RunAhead::CurrentContext(),
                kept.Copy(call, meant)})) {
          return kCudaSuccess;
        }
        RunAhead::Drain(queue, call.Name());
      }
    }
  }
  if (queue == nullptr) {
    return call();
  }
  const Working working(queue, Number(meant));
  return call();
}

// --- copies ---

// A smaller copy takes the device only a few microseconds in any direction.
constexpr size_t kLargeCopy = 64 << 10;

// Groups sizes that take about equally long.
inline uint64_t
SizeClass(uint64_t bytes)
{
  const int bits = 63 - __builtin_clzll(bytes | 4);
  return static_cast<uint64_t>(bits) * 4 + (bytes >> (bits - 2) & 3);
}

inline size_t
BytesOf(const size_t* sizes, size_t count)
{
  size_t sum = 0;
  for (size_t i = 0; sizes != nullptr && i < count; ++i) {
    sum += sizes[i];
  }
  return sum;
}

inline size_t
BytesOf2D(const void* copy)
{
  const auto* const shape = static_cast<const CUDA_MEMCPY2D*>(copy);
  return shape == nullptr ? 0 : shape->WidthInBytes * shape->Height;
}

inline size_t
BytesOf3D(const void* copy)
{
  const auto* const shape = static_cast<const CUDA_MEMCPY3D*>(copy);
  return shape == nullptr ? 0
                          : shape->WidthInBytes * shape->Height * shape->Depth;
}

// In elements where an operand is an array, and those may be larger.
inline size_t
BytesOf3DBatch(const void* copies, size_t count)
{
  const auto* const shapes = static_cast<const CUDA_MEMCPY3D_BATCH_OP*>(copies);
  size_t sum = 0;
  for (size_t i = 0; shapes != nullptr && i < count; ++i) {
    const CUDA_MEMCPY3D_BATCH_OP::Extent& extent = shapes[i].extent;
    sum += extent.width * extent.height * extent.depth;
  }
  return sum;
}

inline size_t
BytesOfFabricBatch(const void* copies, size_t count)
{
  const auto* const parts =
      static_cast<const CUDA_FABRIC_COPY_BATCH_OP*>(copies);
  size_t sum = 0;
  for (size_t i = 0; parts != nullptr && i < count; ++i) {
    sum += parts[i].size;
  }
  return sum;
}

// What it reads, or where it is known what it writes, if that is more.
inline size_t
BytesOfDecompression(const void* parameters, size_t count)
{
  const auto* const parts =
      static_cast<const CUmemDecompressParams*>(parameters);
  size_t sum = 0;
  for (size_t i = 0; parts != nullptr && i < count; ++i) {
    sum += std::max(parts[i].srcNumBytes, parts[i].dstNumBytes);
  }
  return sum;
}

// A large copy waits for its turn and for room, as a kernel does. Otherwise a
// low queue's copy could keep the memory or the bus from a higher one.
template <typename Call, typename Kept = KeptNever>
CUresult
Copy(const Call& call, CUstream stream, size_t bytes, const Kept& kept = {})
{
  if (bytes < kLargeCopy) {
    return Work(call, stream, kept);
  }
  // One per function, and so one per direction.
  static const char way = 0;
  const auto grid = [bytes] {
    return LaunchKey{Number(&way), SizeClass(bytes), LaunchKey::kCopy};
  };
  return Launch(call, stream, grid, kept);
}

// One between any kinds of memory.
template <typename Call>
CUresult
CopyAny(
    const Call& call, CUstream stream, size_t bytes, CUdeviceptr to,
    CUdeviceptr from)
{
  return Copy(call, stream, bytes, KeptIfPinned{to, from});
}

// One that the host has no part in.
template <typename Call>
CUresult
CopyOnDevice(const Call& call, CUstream stream, size_t bytes)
{
  return Copy(call, stream, bytes, KeptAsItIs());
}

// A cooperative launch on several devices: its parts wait for each other, so
// all of them must be launched. Waiting at one gate while a part is behind
// another could wait for itself, so this does not wait at all.
template <typename Call>
CUresult
LaunchTogether(
    const Call& call, const CUDA_LAUNCH_PARAMS* launches, unsigned int count)
{
  constexpr unsigned int kMaxDevices = 64;
  if (!Scheduler::Active()) {
    return call();
  }
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
  }
  Scheduler& scheduler = Scheduler::Get();
  Queue* queues[kMaxDevices];
  unsigned int known = 0;
  for (unsigned int i = 0;
       launches != nullptr && i < count && known < kMaxDevices; ++i) {
    if (Queue* queue =
            QueueOfWork(scheduler, Call::Meant(launches[i].hStream))) {
      scheduler.BeforeWork(queue);
      queues[known++] = queue;
    }
  }
  const CUresult result = call();
  for (unsigned int i = 0; i < known; ++i) {
    scheduler.AfterWork(queues[i]);
  }
  return result;
}

// A call in which the driver may wait until the device is idle. Meanwhile the
// thread's queue counts as having work: if lower queues went on, the call would
// wait behind them.
template <typename Call>
CUresult
WaitForDevice(const Call& call)
{
  if (!Scheduler::Active()) {
    return call();
  }
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
  }
  Scheduler& scheduler = Scheduler::Get();
  Queue* queue = CurrentQueue(scheduler);
  if (queue == nullptr) {
    return call();
  }
  // The order matters: launches that other threads have made by now keep the
  // queue ready, and later ones are not in the number.
  const uint64_t launched = scheduler.Launched(queue);
  const bool idle = !queue->ready.load(std::memory_order_relaxed);
  CUresult result = kCudaSuccess;
  {
    const Working working(queue, 0);
    result = call();
  }
  if (idle) {
    // None of it is left on the device, unless other threads have launched.
    scheduler.Drained(queue, launched + 1);
  }
  return result;
}

}  // namespace xsched

#endif  // XSCHED_SHIM_WORK_H_
