// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_CHECK_H_
#define XSCHED_CTL_CHECK_H_

#include "ctl/exit_code.h"

namespace xsched {

// Uses CUDA as a program started in this environment would: prints which file
// is its libcuda.so.1, which driver that uses, and whether cuInit succeeds.
// Refused unless it succeeds under the shim.
ExitCode CheckEnvironment();

}  // namespace xsched

#endif  // XSCHED_CTL_CHECK_H_
