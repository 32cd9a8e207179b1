// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_PROCESS_STATUS_H_
#define XSCHED_CONTROL_PROCESS_STATUS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace xsched {

// The facts that the scheduler, which knows no kind of device, lacks.
struct ShimDescription {
  std::string version;
  std::string driver;  // the path of its library; empty without a driver
  // The driver's answer to cuInit; 0 if it has started, or if nobody has
  // started it.
  int (*init_result)() = [] { return 0; };
};

// This process's current configuration.
struct ProcessStatus {
  ShimDescription shim;
  pid_t pid;
  std::string policy;
  std::string scheduler;  // LCL or APP
  std::string mode;       // see Scheduler::ModeName
  int64_t in_flight_limit_ns;
  // Why something is not scheduled that should be; empty if all is.
  std::string problem;
};

ProcessStatus GetProcessStatus(const ShimDescription& shim);

}  // namespace xsched

#endif  // XSCHED_CONTROL_PROCESS_STATUS_H_
