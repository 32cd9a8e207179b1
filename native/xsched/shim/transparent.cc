// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/transparent.h"

#include "cuda/context_scope.h"
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
AdoptStream(CUstream stream)
{
  const Options& options = GetOptions();
  if (!options.auto_xqueue) {
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
  if (options.auto_threshold != 0 || options.auto_batch_size != 0) {
    XQueueSetLaunchConfig(
        queue, options.auto_threshold == 0 ? -1 : options.auto_threshold,
        options.auto_batch_size == 0 ? -1 : options.auto_batch_size);
  }
}

void
ReleaseStream(CUstream stream)
{
  HwQueueHandle hwq = 0;
  XQueueHandle queue = 0;
  if (!GetOptions().auto_xqueue ||
      CudaQueueGet(&hwq, stream) != kXSchedSuccess) {
    return;
  }
  if (XQueueGet(&queue, hwq) == kXSchedSuccess) {
    // Not XQueueDestroy, which waits for the stream's work: cuStreamDestroy
    // does not wait.
    Scheduler::Get().DestroyQueue(queue);
  }
  HwQueueDestroy(hwq);
}

}  // namespace xsched
