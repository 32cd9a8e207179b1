// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_EXIT_CODE_H_
#define XSCHED_CTL_EXIT_CODE_H_

namespace xsched {

// The exit codes, for shells and health checks.
enum ExitCode {
  kExitSuccess = 0,   // for status: the process is scheduled
  kExitRefused = 1,   // the process refused; for status: it is not scheduled
  kExitUsage = 2,     // the command line is wrong or ambiguous
  kExitNoAnswer = 3,  // no process was found, or it does not answer
};

}  // namespace xsched

#endif  // XSCHED_CTL_EXIT_CODE_H_
