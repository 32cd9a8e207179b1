// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
// Queues: create, destroy, query, suspend and resume. Every function checks
// its arguments and returns a code; none throws or ends the process. All are
// safe to call from any thread.

#ifndef XSCHED_XQUEUE_H_
#define XSCHED_XQUEUE_H_

#include "xsched/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Puts the hardware queue 'hwq' under the scheduler and stores the handle of
// its XQueue. A hardware queue that has one already keeps it; its handle is
// stored. 'level' is kPreemptLevelBlock or kPreemptLevelDeactivate, which are
// the same here; kPreemptLevelInterrupt is not supported.
XResult XQueueCreate(
    XQueueHandle* xq, HwQueueHandle hwq, int64_t level, int64_t flags);

// Takes the stream out of the scheduler; launches that wait go ahead. Work
// that is on the device is not waited for.
XResult XQueueDestroy(XQueueHandle xq);

// Stores the handle of the XQueue of 'hwq'.
XResult XQueueGet(XQueueHandle* xq, HwQueueHandle hwq);

XResult XQueueSetPreemptLevel(XQueueHandle xq, int64_t level);

// Caps the launches in flight of a queue that may be preempted: 'threshold'.
// Each of them then has an event of its own, whatever 'batch_size' allows,
// which is at most 'threshold'. The limit in GPU time applies as well. -1
// takes a cap away.
XResult XQueueSetLaunchConfig(
    XQueueHandle xq, int64_t threshold, int64_t batch_size);

// Commands as objects are not supported: launches go through the driver.
XResult XQueueSubmit(XQueueHandle xq, HwCommandHandle hw_cmd);
XResult XQueueWait(XQueueHandle xq, HwCommandHandle hw_cmd);

// Blocks until the device has finished everything launched into the queue.
XResult XQueueWaitAll(XQueueHandle xq);

XResult XQueueQuery(XQueueHandle xq, XQueueState* state);

// Holds further launches back until XQueueResume. A launch by the thread that
// suspended the queue goes ahead: nobody else might resume it.
XResult XQueueSuspend(XQueueHandle xq, int64_t flags);
XResult XQueueResume(XQueueHandle xq, int64_t flags);

// Stores the number of launches so far.
XResult XQueueProfileHwCommandCount(XQueueHandle xq, int64_t* count);

// Destroy the XQueue first; the stream afterwards.
XResult HwQueueDestroy(HwQueueHandle hwq);
XResult HwQueueLaunch(HwQueueHandle hwq, HwCommandHandle hw_cmd);
XResult HwQueueSynchronize(HwQueueHandle hwq);
XResult HwCommandCreateCallback(
    HwCommandHandle* hw_cmd, LaunchCallback launch, void* data);
XResult HwCommandDestroy(HwCommandHandle hw_cmd);

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_XQUEUE_H_
