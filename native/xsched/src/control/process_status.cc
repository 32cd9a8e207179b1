// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/process_status.h"

#include <unistd.h>

#include "preempt/options.h"
#include "preempt/scheduler.h"

namespace xsched {

ProcessStatus
GetProcessStatus(const ShimDescription& shim)
{
  const Options& options = GetOptions();
  const Scheduler& scheduler = Scheduler::Get();
  ProcessStatus status;
  status.shim = shim;
  status.pid = getpid();
  status.policy = scheduler.PolicyName();
  status.scheduler = scheduler.SchedulerName();
  status.mode = scheduler.ModeName();
  status.in_flight_limit_ns = options.inflight_ns;
  if (shim.driver.empty()) {
    status.problem =
        "no CUDA driver found; set XSCHED_CUDA_LIB to its libcuda.so.1";
  } else if (const int result = shim.init_result()) {
    status.problem = "the CUDA driver does not start: cuInit returns " +
                     std::to_string(result);
  } else if (scheduler.AppSchedules()) {
    status.problem =
        "XSCHED_SCHEDULER=APP or XHintSetScheduler leaves scheduling to the "
        "application";
  } else if (const int unscheduled = scheduler.Unscheduled()) {
    status.problem = std::to_string(unscheduled) +
                     " model instances run unscheduled; the log says which "
                     "and why";
  }
  return status;
}

}  // namespace xsched
