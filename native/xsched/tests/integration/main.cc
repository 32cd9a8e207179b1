// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "xsched/cuda/hal.h"
#include "xsched/xsched.h"

// Without a GPU there is nothing to schedule: the calls must say so, not end
// the process.
int
main()
{
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  const bool sane =
      CudaQueueCreate(&hwq, nullptr) == kXSchedErrorNotSupported &&
      XQueueCreate(&xq, hwq, kPreemptLevelDeactivate, kQueueCreateFlagNone) ==
          kXSchedErrorNotFound &&
      XHintPriority(xq, PRIORITY_MAX) == kXSchedErrorNotFound;
  return sane ? 0 : 1;
}
