// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/transparent.h"

#include <atomic>

#include "cuda/context_scope.h"
#include "cuda/cuda_hardware.h"
#include "cuda/functions.h"
#include "preempt/log.h"
#include "preempt/options.h"
#include "preempt/scheduler.h"
#include "xsched/cuda/hal.h"
#include "xsched/xsched.h"

namespace xsched {
namespace {

// The context that a stream belongs to: the current one, unless the stream
// belongs to a green context.
CUcontext
ContextOf(CUstream stream)
{
  CUcontext context = nullptr;
  return real::cuStreamGetCtx(stream, &context) == kCudaSuccess ? context
                                                                : nullptr;
}

}  // namespace

void
AdoptProcess()
{
  const Options& options = GetOptions();
  if (options.auto_xqueue) {
    // The default streams have the lowest priority.
    Scheduler::Get().AdoptAll(
        options.auto_name,
        options.has_auto_priority ? options.auto_priority : PRIORITY_DEFAULT,
        options.auto_floor, options.auto_weight);
  }
}

Queue*
AdoptDefaultStreams(CUcontext context)
{
  CUdevice device = 0;
  Queue* queue = nullptr;
  try {
    if (real::cuCtxGetDevice(&device) == kCudaSuccess) {
      queue = Scheduler::Get().MakeDefaultOfThread(
          CudaHardware::Get(), device, reinterpret_cast<uint64_t>(context));
    }
  } catch (...) {
    // Out of memory.
  }
  static std::atomic<bool> said{false};
  if (queue == nullptr && !said.exchange(true, std::memory_order_relaxed)) {
    Log(LogLevel::kWarning,
        "no XQueue for the default streams of context %p; they are not "
        "scheduled",
        static_cast<void*>(context));
  }
  return queue;
}

void
AdoptStream(CUstream stream)
{
  const Options& options = GetOptions();
  const bool has_owner = Scheduler::ThreadHasOwnOwner();
  if (!options.auto_xqueue && !has_owner) {
    return;
  }
  ContextScope scope(ContextOf(stream));
  HwQueueHandle hwq = 0;
  XQueueHandle queue = 0;
  if (CudaQueueCreate(&hwq, stream) != kXSchedSuccess ||
      XQueueCreate(&queue, hwq, kPreemptLevelBlock, kQueueCreateFlagNone) !=
          kXSchedSuccess) {
    Log(LogLevel::kWarning, "no XQueue for stream %p; it is not scheduled",
        static_cast<void*>(stream));
    return;
  }
  if (options.auto_threshold != 0 || options.auto_batch_size != 0) {
    XQueueSetLaunchConfig(
        queue, options.auto_threshold == 0 ? -1 : options.auto_threshold,
        options.auto_batch_size == 0 ? -1 : options.auto_batch_size);
  }
  if (has_owner && Scheduler::Get().GiveToOwnerOfThread(queue)) {
    return;
  }
  if (!options.auto_name.empty() &&
      Scheduler::Get().GiveToOwnerOfProcess(queue)) {
    return;
  }
  Priority priority = options.auto_priority;
  if (!options.has_auto_priority) {
    // CUDA counts down, from 0 for the lowest priority to about -5.
    int least = 0;
    int greatest = 0;
    int own = 0;
    if (real::cuCtxGetStreamPriorityRange(&least, &greatest) == kCudaSuccess &&
        real::cuStreamGetPriority(stream, &own) == kCudaSuccess) {
      priority = least - own;
    }
  }
  XHintPriority(queue, priority);
}

void
ReleaseStream(CUstream stream)
{
  HwQueueHandle hwq = 0;
  XQueueHandle queue = 0;
  if (!Scheduler::Active() || CudaQueueGet(&hwq, stream) != kXSchedSuccess) {
    return;
  }
  const bool found = XQueueGet(&queue, hwq) == kXSchedSuccess;
  if (!GetOptions().auto_xqueue && !Scheduler::Get().HasOwner(queue)) {
    return;  // it is the application's
  }
  if (found) {
    // Not XQueueDestroy, which waits for the stream's work: cuStreamDestroy
    // does not wait.
    Scheduler::Get().DestroyQueue(queue);
  }
  HwQueueDestroy(hwq);
}

}  // namespace xsched
