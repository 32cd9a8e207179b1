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

// Waits until the device has finished what was launched into the queue, then
// takes the stream out of the scheduler; launches that wait go ahead. While
// the stream is captured, or once it is gone, there is nothing to wait for.
XResult XQueueDestroy(XQueueHandle xq);

// Stores the handle of the XQueue of 'hwq'.
XResult XQueueGet(XQueueHandle* xq, HwQueueHandle hwq);

// Levels 1 and 2 are the same here; 3 is not supported.
XResult XQueueSetPreemptLevel(XQueueHandle xq, XPreemptLevel level);

// Caps the launches in flight of a queue that may be preempted: 'threshold'.
// Each of them then has an event of its own, whatever 'batch_size' allows,
// which is at most 'threshold'. The limit in GPU time applies as well. A value
// that is not positive leaves what was set before.
XResult XQueueSetLaunchConfig(
    XQueueHandle xq, int64_t threshold, int64_t batch_size);

// Calls a command, on this thread, with the queue's hardware queue. What it
// launches passes the gate like any other launch, so it may wait. Returns what
// the command returns.
XResult XQueueSubmit(XQueueHandle xq, HwCommandHandle hw_cmd);
// Blocks until the device has finished everything launched into the queue by
// now, the command's work among it.
XResult XQueueWait(XQueueHandle xq, HwCommandHandle hw_cmd);

// Blocks until the device has finished everything launched into the queue.
XResult XQueueWaitAll(XQueueHandle xq);

XResult XQueueQuery(XQueueHandle xq, XQueueState* state);

// Holds further launches back until XQueueResume. A launch by the thread that
// suspended the queue goes ahead: nobody else might resume it.
XResult XQueueSuspend(XQueueHandle xq, int64_t flags);
// kQueueResumeFlagDropCommands is not supported: no commands are stored.
XResult XQueueResume(XQueueHandle xq, int64_t flags);

// Stores the number of launches so far.
XResult XQueueProfileHwCommandCount(XQueueHandle xq, int64_t* count);

// Destroy the XQueue first; the stream afterwards.
XResult HwQueueDestroy(HwQueueHandle hwq);
// Calls a command without an XQueue; if the hardware queue has one, its
// launches pass the gate nevertheless.
XResult HwQueueLaunch(HwQueueHandle hwq, HwCommandHandle hw_cmd);
XResult HwQueueSynchronize(HwQueueHandle hwq);
// Makes a command of a function that launches work into the hardware queue
// that it is called with. It lasts until HwCommandDestroy.
XResult HwCommandCreateCallback(
    HwCommandHandle* hw_cmd, LaunchCallback launch, void* data);
XResult HwCommandDestroy(HwCommandHandle hw_cmd);

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_XQUEUE_H_
