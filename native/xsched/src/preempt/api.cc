// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "preempt/commands.h"
#include "preempt/export.h"
#include "preempt/log.h"
#include "preempt/name.h"
#include "preempt/scheduler.h"
#include "preempt/thread_work.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

using xsched::Commands;
using xsched::IsName;
using xsched::Log;
using xsched::LogLevel;
using xsched::Scheduler;

namespace {

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
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is cancelled
  } catch (...) {
    return kXSchedErrorUnknown;
  }
}

bool
IsLevel(int64_t level)
{
  return level > kPreemptLevelUnknown && level < kPreemptLevelMax;
}

// For what XSched has and this implementation has not: says so once.
XResult
NotSupported(std::atomic<bool>* said, const char* what)
{
  // Relaxed: all that matters is that one thread is the first.
  if (!said->exchange(true, std::memory_order_relaxed)) {
    Log(LogLevel::kWarning,
        "%s; see \"Differences from XSched 1.2\" in the "
        "README",
        what);
  }
  return kXSchedErrorNotSupported;
}

#define XSCHED_NOT_SUPPORTED(what)        \
  [] {                                    \
    static std::atomic<bool> said{false}; \
    return NotSupported(&said, what);     \
  }()

// The nearest priority that there is; says so if that is another one.
Priority
InRange(Priority given)
{
  const Priority prio =
      given == PRIORITY_NO_EXECUTE
          ? given
          : std::min(std::max(given, PRIORITY_MIN), PRIORITY_MAX);
  if (prio != given) {
    Log(LogLevel::kWarning, "priority %d is not in [%d, %d]; using %d", given,
        PRIORITY_MIN, PRIORITY_MAX, prio);
  }
  return prio;
}

bool
Exists(XQueueHandle xq)
{
  XQueueStats stats;
  return XQueueGetStats(xq, &stats) == kXSchedSuccess;
}

}  // namespace

XSCHED_EXPORT XResult
XQueueCreate(XQueueHandle* xq, HwQueueHandle hwq, int64_t level, int64_t flags)
{
  if (xq == nullptr || !IsLevel(level)) {
    return kXSchedErrorInvalidValue;
  }
  if (level == kPreemptLevelInterrupt) {
    return XSCHED_NOT_SUPPORTED("preemption level 3 is not supported");
  }
  if (flags != kQueueCreateFlagNone) {
    return XSCHED_NOT_SUPPORTED("flags of XQueueCreate are not supported");
  }
  return Guard([&] { return Scheduler::Get().CreateQueue(hwq, xq); });
}

XSCHED_EXPORT XResult
XQueueDestroy(XQueueHandle xq)
{
  return Guard([&] {
    // What the stream has is finished when this returns. Where that cannot be
    // waited for, because the context is gone or the stream is being
    // captured, the queue goes all the same.
    Scheduler::Get().WaitAll(xq);
    return Scheduler::Get().DestroyQueue(xq);
  });
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
XQueueSetPreemptLevel(XQueueHandle xq, XPreemptLevel level)
{
  if (!IsLevel(level)) {
    return kXSchedErrorInvalidValue;
  }
  if (level == kPreemptLevelInterrupt) {
    return XSCHED_NOT_SUPPORTED("preemption level 3 is not supported");
  }
  XQueueStats stats;
  return XQueueGetStats(xq, &stats);  // nothing to set, if there is the queue
}

XSCHED_EXPORT XResult
XQueueSetLaunchConfig(XQueueHandle xq, int64_t threshold, int64_t batch_size)
{
  // What is not positive leaves the value as it is.
  if (threshold > 0 && batch_size > threshold) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] {
    if (threshold > 0) {
      return Scheduler::Get().SetMaxLaunches(xq, threshold);
    }
    return Exists(xq) ? kXSchedSuccess : kXSchedErrorNotFound;
  });
}

XSCHED_EXPORT XResult
XQueueSubmit(XQueueHandle xq, HwCommandHandle hw_cmd)
{
  return Guard([&] {
    HwQueueHandle hwq = 0;
    const XResult result = Scheduler::Get().FindHwQueueOf(xq, &hwq);
    return result == kXSchedSuccess ? Commands::Get().Call(hw_cmd, hwq)
                                    : result;
  });
}

XSCHED_EXPORT XResult
XQueueWait(XQueueHandle xq, HwCommandHandle hw_cmd)
{
  return Guard([&] {
    // Which of the launches are the command's is not known.
    return Commands::Get().Exists(hw_cmd) ? Scheduler::Get().WaitAll(xq)
                                          : kXSchedErrorNotFound;
  });
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
  return Guard(
      [&] { return Scheduler::Get().Suspend(xq, (flags & kWaiting) != 0); });
}

XSCHED_EXPORT XResult
XQueueResume(XQueueHandle xq, int64_t flags)
{
  if (flags != kQueueResumeFlagNone) {
    return flags == kQueueResumeFlagDropCommands
               ? XSCHED_NOT_SUPPORTED(
                     "XQueueResume cannot drop commands, as none are stored")
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
HwQueueLaunch(HwQueueHandle hwq, HwCommandHandle hw_cmd)
{
  return Guard([&] {
    return Scheduler::Get().IsHwQueue(hwq) ? Commands::Get().Call(hw_cmd, hwq)
                                           : kXSchedErrorNotFound;
  });
}

XSCHED_EXPORT XResult
HwQueueSynchronize(HwQueueHandle hwq)
{
  return Guard([&] { return Scheduler::Get().SynchronizeHwQueue(hwq); });
}

XSCHED_EXPORT XResult
HwCommandCreateCallback(
    HwCommandHandle* hw_cmd, LaunchCallback launch, void* data)
{
  if (hw_cmd == nullptr || launch == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Commands::Get().Create(launch, data, hw_cmd); });
}

XSCHED_EXPORT XResult
HwCommandDestroy(HwCommandHandle hw_cmd)
{
  return Guard([&] { return Commands::Get().Destroy(hw_cmd); });
}

XSCHED_EXPORT XResult
XHintSetScheduler(XSchedulerType scheduler, XPolicyType policy)
{
  if (scheduler <= kSchedulerUnknown || scheduler >= kSchedulerMax) {
    return kXSchedErrorInvalidValue;
  }
  if (scheduler == kSchedulerAppManaged && policy != kPolicyUnknown) {
    Log(LogLevel::kWarning,
        "XHintSetScheduler: the application schedules; the policy does not "
        "count");
  }
  return Guard([&] {
    const XResult result = Scheduler::Get().SetPolicy(scheduler, policy);
    return result != kXSchedErrorNotSupported
               ? result
               : XSCHED_NOT_SUPPORTED(
                     "there is no scheduler but LCL, GLB and APP, and no "
                     "policy but HPF");
  });
}

XSCHED_EXPORT XResult
XHintPriority(XQueueHandle xq, Priority prio)
{
  const Priority priority = InRange(prio);
  return Guard([&] { return Scheduler::Get().SetPriority(xq, priority); });
}

XSCHED_EXPORT XResult
XHintUtilization(XQueueHandle, Utilization)
{
  return XSCHED_NOT_SUPPORTED(
      "XHintUtilization has no effect: no policy here shares by utilization");
}

XSCHED_EXPORT XResult
XHintTimeslice(Timeslice)
{
  return XSCHED_NOT_SUPPORTED(
      "XHintTimeslice has no effect: no policy here has time slices");
}

XSCHED_EXPORT XResult
XHintLaxity(XQueueHandle, Laxity, Priority, Priority)
{
  return XSCHED_NOT_SUPPORTED(
      "XHintLaxity has no effect: no policy here knows laxity");
}

XSCHED_EXPORT XResult
XHintDeadline(XQueueHandle, Deadline)
{
  return XSCHED_NOT_SUPPORTED(
      "XHintDeadline has no effect: no policy here knows deadlines");
}

XSCHED_EXPORT XResult
XHintKDeadline(size_t)
{
  return XSCHED_NOT_SUPPORTED(
      "XHintKDeadline has no effect: no policy here knows deadlines");
}

XSCHED_EXPORT XResult
XQueueSetName(XQueueHandle xq, const char* name)
{
  if (!IsName(name)) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().SetName(xq, name); });
}

XSCHED_EXPORT XResult
XQueueSetFloor(XQueueHandle xq, int32_t percent)
{
  if (percent < 0 || percent > xsched::kMaxFloor) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().SetFloor(xq, percent); });
}

XSCHED_EXPORT XResult
XQueueSetWeight(XQueueHandle xq, int32_t weight)
{
  if (weight < 0 || weight > xsched::kMaxWeight) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().SetWeight(xq, weight); });
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

XSCHED_EXPORT XResult
XOwnerCreate(XOwnerHandle* owner, const char* name, Priority prio)
{
  if (owner == nullptr || !IsName(name)) {
    return kXSchedErrorInvalidValue;
  }
  const Priority priority = InRange(prio);
  return Guard(
      [&] { return Scheduler::Get().CreateOwner(name, priority, owner); });
}

XSCHED_EXPORT XResult
XOwnerDestroy(XOwnerHandle owner)
{
  return Guard([&] { return Scheduler::Get().DestroyOwner(owner); });
}

XSCHED_EXPORT XResult
XOwnerGet(XOwnerHandle owner, char name[64], Priority* prio)
{
  static_assert(xsched::kMaxName + 1 == 64, "and its end");
  if (name == nullptr || prio == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] {
    std::string found;
    if (!Scheduler::Get().DescribeOwner(owner, &found, prio)) {
      return kXSchedErrorNotFound;
    }
    memcpy(name, found.c_str(), found.size() + 1);
    return kXSchedSuccess;
  });
}

XSCHED_EXPORT XResult
XOwnerSetFloor(XOwnerHandle owner, int32_t percent)
{
  if (percent < 0 || percent > xsched::kMaxFloor) {
    return kXSchedErrorInvalidValue;
  }
  return Guard(
      [&] { return Scheduler::Get().SetFloorOfOwner(owner, percent); });
}

XSCHED_EXPORT XResult
XOwnerGetFloor(XOwnerHandle owner, int32_t* percent)
{
  if (percent == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().FloorOfOwner(owner, percent); });
}

XSCHED_EXPORT XResult
XOwnerSetWeight(XOwnerHandle owner, int32_t weight)
{
  if (weight < 0 || weight > xsched::kMaxWeight) {
    return kXSchedErrorInvalidValue;
  }
  return Guard(
      [&] { return Scheduler::Get().SetWeightOfOwner(owner, weight); });
}

XSCHED_EXPORT XResult
XOwnerGetWeight(XOwnerHandle owner, int32_t* weight)
{
  if (weight == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Guard([&] { return Scheduler::Get().WeightOfOwner(owner, weight); });
}

XSCHED_EXPORT XOwnerHandle
XOwnerExchange(XOwnerHandle owner)
{
  return Scheduler::Get().ExchangeOwnerOfThread(owner);
}

XSCHED_EXPORT XOwnerHandle
XOwnerCurrent()
{
  return xsched::OwnerHandleOfThread();
}

XSCHED_EXPORT void
XUnscheduledAdd(int32_t count)
{
  Scheduler::Get().AddUnscheduled(count);
}

XSCHED_EXPORT void
XHooksAnnounce()
{
  Scheduler::Get().AnnounceHooks();
}
