// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_KERNEL_COPY_H_
#define XSCHED_SHIM_KERNEL_COPY_H_

#include <vector>

#include "cuda/abi.h"

namespace xsched {

// The launch of a kernel with all its arguments: those of a call, or a copy of
// them, which the application may no longer change.
struct KernelLaunch {
  enum Kind { kPlain, kCooperative, kWithAttributes } kind;
  CUfunction function;
  // With the stream that is meant; 'attrs' only with kWithAttributes.
  CUlaunchConfig config;
  void** parameters;
  void** extra;

  // Puts what it points to into 'memory', and lets it point there. False if it
  // cannot be copied.
  bool MoveTo(std::vector<unsigned char>* memory);
  CUresult operator()() const;
};

// The driver uses handles of functions again.
void ForgetKernelParameters();

}  // namespace xsched

#endif  // XSCHED_SHIM_KERNEL_COPY_H_
