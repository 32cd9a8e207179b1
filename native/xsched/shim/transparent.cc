// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/transparent.h"

#include "cuda/functions.h"
#include "preempt/log.h"
#include "preempt/options.h"
#include "xsched/cuda/hal.h"
#include "xsched/xsched.h"

namespace xsched {
namespace {

// The context that a stream belongs to, made current. It is already, unless
// the stream is one of a green context.
class StreamContextScope {
 public:
  explicit StreamContextScope(CUstream stream)
  {
    CUcontext current = nullptr;
    CUcontext own = nullptr;
    pushed_ = real::cuCtxGetCurrent(&current) == kCudaSuccess &&
              real::cuStreamGetCtx(stream, &own) == kCudaSuccess &&
              own != current &&
              real::cuCtxPushCurrent_v2(own) == kCudaSuccess;
  }
  ~StreamContextScope()
  {
    CUcontext popped = nullptr;
    if (pushed_) {
      real::cuCtxPopCurrent_v2(&popped);
    }
  }
  StreamContextScope(const StreamContextScope&) = delete;
  StreamContextScope& operator=(const StreamContextScope&) = delete;

 private:
  bool pushed_ = false;
};

}  // namespace

void
AdoptStream(CUstream stream)
{
  const Options& options = GetOptions();
  if (!options.auto_xqueue) {
    return;
  }
  StreamContextScope scope(stream);
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
    // CUDA counts downwards, from 0 for the least to about -5.
    int least = 0;
    int greatest = 0;
    int own = 0;
    if (real::cuCtxGetStreamPriorityRange(&least, &greatest) ==
            kCudaSuccess &&
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
    XQueueDestroy(queue);
  }
  HwQueueDestroy(hwq);
}

}  // namespace xsched
