// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
// This implementation's additions to XSched's interface.

#ifndef XSCHED_EXT_H_
#define XSCHED_EXT_H_

#include "xsched/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whose work threads do, such as that of a model instance. 0: nobody's.
typedef uint64_t XOwnerHandle;

// Counters of one XQueue since it was created.
typedef struct {
  int64_t launches;      // launches that reached the driver
  int64_t blocked;       // launches that had to wait
  int64_t blocked_ns;    // the time they waited
  int64_t preemptions;   // how often this queue made another one stop
  int64_t in_flight_ns;  // estimated GPU time on the device, if bounded
  Priority priority;
} XQueueStats;

// In percent of a device's time: the highest floor, and all floors of a device
// together, which leaves something for everybody else.
#define XSCHED_MAX_FLOOR 50
#define XSCHED_MAX_FLOORS 90
// The highest weight.
#define XSCHED_MAX_WEIGHT 100

// Names a queue in logs, metrics and xsched-ctl, usually after the model. At
// most 63 bytes, no control characters; need not be unique.
XResult XQueueSetName(XQueueHandle xq, const char* name);

XResult XQueueGetStats(XQueueHandle xq, XQueueStats* stats);

// While the queue has work, it gets at least this percentage of the device's
// time over any two seconds, 0 to 50, however high the priority of others: in
// slices of XSCHED_SLICE_US, for which a launch of a higher queue may have to
// wait. 0, the default: its priority alone counts. In a scheduling domain,
// queues of other processes give way, too.
//
// The floor of a queue that has a name is its model's, which is what the name
// has before its first slash: on each device, all of the process's queues of
// that model share it, those to come of its owners included, and a queue shares
// it as soon as it has such a name. A queue without a name has its floor alone,
// until it gets one. kXSchedErrorInvalidValue, and nothing changes, if the
// floors of a device would come to more than 90.
XResult XQueueSetFloor(XQueueHandle xq, int32_t percent);

// Of the queues of one priority that have a weight, each model gets a part of the
// time that the device has for them in the ratio of the weights, 1 to 100: in
// turns of XSCHED_SLICE_US, in which the others that have a weight do not launch.
// Whoever has nothing to do has no turn. Queues of that priority without a weight
// (0, the default) launch in all turns. In a scheduling domain, models of other
// processes take part. Whose weight it is, is as with XQueueSetFloor.
XResult XQueueSetWeight(XQueueHandle xq, int32_t weight);

// Creates an owner. While a thread works for one, every stream that it creates
// gets an XQueue with the owner's name and priority, and its work in streams
// without an XQueue, the default streams among them, belongs to the owner, too:
// for each context, the default streams share one XQueue for each owner, which
// is created with the first launch. 'name' is as in XQueueSetName. At most
// 16384 owners exist at a time.
XResult XOwnerCreate(XOwnerHandle* owner, const char* name, Priority prio);

// The owner's XQueues end, without waiting for their work. Threads that still
// work for it work for nobody from now on.
XResult XOwnerDestroy(XOwnerHandle owner);

// The owner's name, and the priority that its XQueues to come have, which may
// have been changed since. Waits for no driver.
XResult XOwnerGet(XOwnerHandle owner, char name[64], Priority* prio);

// The floor of the owner's model, as XQueueSetFloor says, also of XQueues to
// come. If a device has no room for it, the model keeps there what it has, and
// the log says so once; it is tried again whenever the model gets another
// XQueue. kXSchedErrorNotAllowed if the owner has no name.
XResult XOwnerSetFloor(XOwnerHandle owner, int32_t percent);

// The floor that it is to have, which may have been changed since.
XResult XOwnerGetFloor(XOwnerHandle owner, int32_t* percent);

// The same for its weight, as XQueueSetWeight says, which there is always room
// for.
XResult XOwnerSetWeight(XOwnerHandle owner, int32_t weight);
XResult XOwnerGetWeight(XOwnerHandle owner, int32_t* weight);

// The calling thread works for 'owner' from now on, for nobody if that is 0 or
// has been destroyed. Returns whom it worked for before. Takes a few
// nanoseconds. Threads do not inherit their creator's owner.
XOwnerHandle XOwnerExchange(XOwnerHandle owner);

// Whom the calling thread works for.
XOwnerHandle XOwnerCurrent(void);

// Adds to how many things run unscheduled that should not, such as model
// instances; a negative number takes away. While there is any, xsched-ctl status
// says that the process is not scheduled.
void XUnscheduledAdd(int32_t count);

// Says that hooks tell the core whose work the threads of this process do:
// xsched-ctl status, metrics and the log then have its mode as hooked.
void XHooksAnnounce(void);

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_EXT_H_
