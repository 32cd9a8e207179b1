// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CUDA_CONTEXT_SCOPE_H_
#define XSCHED_CUDA_CONTEXT_SCOPE_H_

#include "cuda/functions.h"

namespace xsched {

// Makes a context current for a while, if it is not.
class ContextScope {
 public:
  explicit ContextScope(CUcontext wanted)
  {
    CUcontext current = nullptr;
    if (real::cuCtxGetCurrent(&current) == kCudaSuccess && current != wanted) {
      pushed_ = real::cuCtxPushCurrent_v2(wanted) == kCudaSuccess;
    }
  }
  ~ContextScope()
  {
    CUcontext popped = nullptr;
    if (pushed_) {
      real::cuCtxPopCurrent_v2(&popped);
    }
  }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  bool pushed_ = false;
};

}  // namespace xsched

#endif  // XSCHED_CUDA_CONTEXT_SCOPE_H_
