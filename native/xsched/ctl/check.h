// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_CHECK_H_
#define XSCHED_CTL_CHECK_H_

#include "ctl/exit_code.h"

namespace xsched {

// Uses CUDA as a program does that is started with this environment: says
// which library it has as libcuda.so.1, on which driver, and whether cuInit
// succeeds. Refused unless it does, under the shim.
ExitCode CheckEnvironment();

}  // namespace xsched

#endif  // XSCHED_CTL_CHECK_H_
