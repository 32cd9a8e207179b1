// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_COLLECTIVES_H_
#define XSCHED_SHIM_COLLECTIVES_H_

#include "preempt/durations.h"
#include "preempt/queue.h"

namespace xsched {

// Launches that wait on the device for the same launch on other devices, by the
// names of their kernels: NCCL's, and those of all-reduces and the like that
// programs such as vLLM have of their own. The driver gives names since CUDA 12.3;
// before that there are none.
//
// A graph is taken for one once the process has launched a collective by itself,
// as programs do before they capture one: what is in a graph is not known here.
class Collectives {
 public:
  // Of a process in a gang, which joins it with the first one.
  static bool Include(const LaunchKey& key, const Queue& queue);
  // The driver uses handles of functions again.
  static void ForgetNames();
};

}  // namespace xsched

#endif  // XSCHED_SHIM_COLLECTIVES_H_
