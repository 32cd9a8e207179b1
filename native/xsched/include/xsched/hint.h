// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
// Hints to the scheduling policy.

#ifndef XSCHED_HINT_H_
#define XSCHED_HINT_H_

#include "xsched/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Chooses who schedules. kSchedulerLocal with kPolicyHighestPriorityFirst:
// this process, highest priority first. kSchedulerAppManaged: the application
// does, with XQueueSuspend and XQueueResume; 'policy' does not count. Others
// are not supported.
XResult XHintSetScheduler(XSchedulerType scheduler, XPolicyType policy);

// Sets the priority, PRIORITY_NO_EXECUTE or PRIORITY_MIN to PRIORITY_MAX;
// beyond that, the nearest of these two, and a warning. It takes effect at
// once, also for launches that are waiting.
XResult XHintPriority(XQueueHandle xq, Priority prio);

// No policy here uses these; they return kXSchedErrorNotSupported,
// and the first call of each leaves a warning in the log.
XResult XHintUtilization(XQueueHandle xq, Utilization util);
XResult XHintTimeslice(Timeslice ts_us);
XResult XHintLaxity(
    XQueueHandle xq, Laxity lax_us, Priority lax_prio, Priority crit_prio);
XResult XHintDeadline(XQueueHandle xq, Deadline ddl_us);
XResult XHintKDeadline(size_t k);

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_HINT_H_
