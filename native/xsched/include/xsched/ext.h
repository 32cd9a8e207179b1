// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
// This implementation's additions to XSched's interface.

#ifndef XSCHED_EXT_H_
#define XSCHED_EXT_H_

#include "xsched/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Counters of one XQueue since it was created.
typedef struct {
  int64_t launches;      // launches that reached the driver
  int64_t blocked;       // launches that had to wait
  int64_t blocked_ns;    // the time they waited
  int64_t preemptions;   // how often this queue made another one stop
  int64_t in_flight_ns;  // estimated GPU time on the device, if bounded
  Priority priority;
} XQueueStats;

// Names a queue in logs, metrics and xsched-ctl, usually after the model. At
// most 63 bytes, no control characters; need not be unique.
XResult XQueueSetName(XQueueHandle xq, const char* name);

XResult XQueueGetStats(XQueueHandle xq, XQueueStats* stats);

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_EXT_H_
