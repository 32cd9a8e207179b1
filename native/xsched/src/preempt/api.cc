// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <cstring>

#include "preempt/export.h"
#include "preempt/scheduler.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

using xsched::Scheduler;

namespace {

constexpr size_t kMaxName = 63;

// The C boundary: memory that runs out becomes a code. In the child of a fork
// there is nothing to schedule.
template <typename Body>
XResult
Guard(const Body& body)
{
  if (Scheduler::Disabled()) {
    return kXSchedErrorNotAllowed;
  }
  try {
    return body();
  } catch (...) {
    return kXSchedErrorUnknown;
  }
}

bool
IsLevel(int64_t level)
{
  return level > kPreemptLevelUnknown && level < kPreemptLevelMax;
}

}  // namespace

XSCHED_EXPORT XResult
XQueueCreate(XQueueHandle* xq, HwQueueHandle hwq, int64_t level, int64_t flags)
{
  if (xq == nullptr || !IsLevel(level)) {
    return kXSchedErrorInvalidValue;
  }
  if (level == kPreemptLevelInterrupt || flags != kQueueCreateFlagNone) {
    return kXSchedErrorNotSupported;
  }
  return Guard([&] { return Scheduler::Get().CreateQueue(hwq, xq); });
}

XSCHED_EXPORT XResult
XQueueDestroy(XQueueHandle xq)
{
  return Guard([&] { return Scheduler::Get().DestroyQueue(xq); });
}

XSCHED_EXPORT XResult
XQueueGet(XQueueHandle* xq, HwQueueHandle hwq)
{
  if (xq == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().FindQueueOf(hwq, xq); });
}

XSCHED_EXPORT XResult
XQueueSetPreemptLevel(XQueueHandle xq, int64_t level)
{
  if (!IsLevel(level)) {
    return kXSchedErrorInvalidValue;
  }
  if (level == kPreemptLevelInterrupt) {
    return kXSchedErrorNotSupported;
  }
  XQueueStats stats;
  return XQueueGetStats(xq, &stats);  // nothing to set, if there is the queue
}

XSCHED_EXPORT XResult
XQueueSetLaunchConfig(XQueueHandle xq, int64_t threshold, int64_t batch_size)
{
  if ((threshold < 1 && threshold != -1) ||
      (batch_size < 1 && batch_size != -1) ||
      (threshold != -1 && batch_size > threshold)) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] {
    return Scheduler::Get().SetMaxLaunches(
        xq, threshold == -1 ? 0 : threshold);
  });
}

XSCHED_EXPORT XResult
XQueueSubmit(XQueueHandle, HwCommandHandle)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XQueueWait(XQueueHandle, HwCommandHandle)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XQueueWaitAll(XQueueHandle xq)
{
  return Guard([&] { return Scheduler::Get().WaitAll(xq); });
}

XSCHED_EXPORT XResult
XQueueQuery(XQueueHandle xq, XQueueState* state)
{
  if (state == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().QueryState(xq, state); });
}

XSCHED_EXPORT XResult
XQueueSuspend(XQueueHandle xq, int64_t flags)
{
  constexpr int64_t kWaiting = kQueueSuspendFlagSyncHwQueue |
                               kQueueSuspendFlagWaitAll |
                               kQueueSuspendFlagWaitIdle;
  if (flags != kQueueSuspendFlagMaskAll && (flags & ~kWaiting) != 0) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] {
    return Scheduler::Get().Suspend(xq, (flags & kWaiting) != 0);
  });
}

XSCHED_EXPORT XResult
XQueueResume(XQueueHandle xq, int64_t flags)
{
  if (flags != kQueueResumeFlagNone) {
    return flags == kQueueResumeFlagDropCommands ? kXSchedErrorNotSupported
                                                 : kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().Resume(xq); });
}

XSCHED_EXPORT XResult
XQueueProfileHwCommandCount(XQueueHandle xq, int64_t* count)
{
  XQueueStats stats;
  if (count == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  const XResult result = XQueueGetStats(xq, &stats);
  if (result == kXSchedSuccess) {
    *count = stats.launches;
  }
  return result;
}

XSCHED_EXPORT XResult
HwQueueDestroy(HwQueueHandle hwq)
{
  return Guard([&] { return Scheduler::Get().DestroyHwQueue(hwq); });
}

XSCHED_EXPORT XResult
HwQueueLaunch(HwQueueHandle, HwCommandHandle)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
HwQueueSynchronize(HwQueueHandle hwq)
{
  return Guard([&] { return Scheduler::Get().SynchronizeHwQueue(hwq); });
}

XSCHED_EXPORT XResult
HwCommandCreateCallback(HwCommandHandle*, LaunchCallback, void*)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
HwCommandDestroy(HwCommandHandle)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XHintSetScheduler(XSchedulerType scheduler, XPolicyType policy)
{
  if (scheduler <= kSchedulerUnknown || scheduler >= kSchedulerMax) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().SetPolicy(scheduler, policy); });
}

XSCHED_EXPORT XResult
XHintPriority(XQueueHandle xq, Priority prio)
{
  if (prio < PRIORITY_NO_EXECUTE || prio > PRIORITY_MAX) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().SetPriority(xq, prio); });
}

XSCHED_EXPORT XResult
XHintUtilization(XQueueHandle, Utilization)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XHintTimeslice(Timeslice)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XHintLaxity(XQueueHandle, Laxity, Priority, Priority)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XHintDeadline(XQueueHandle, Deadline)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XHintKDeadline(size_t)
{
  return kXSchedErrorNotSupported;
}

XSCHED_EXPORT XResult
XQueueSetName(XQueueHandle xq, const char* name)
{
  if (name == nullptr || strlen(name) > kMaxName) {
    return kXSchedErrorInvalidValue;
  }
  for (const char* c = name; *c != '\0'; ++c) {
    if (static_cast<unsigned char>(*c) < ' ' || *c == 0x7F) {
      return kXSchedErrorInvalidValue;
    }
  }
  return Guard([&] { return Scheduler::Get().SetName(xq, name); });
}

XSCHED_EXPORT XResult
XQueueGetStats(XQueueHandle xq, XQueueStats* stats)
{
  if (stats == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] {
    xsched::QueueReport report;
    const XResult result = Scheduler::Get().Report(xq, &report);
    if (result == kXSchedSuccess) {
      *stats = report.stats;
    }
    return result;
  });
}
