// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_CONTROL_H_
#define XSCHED_CONTROL_CONTROL_H_

#include <string>

#include "control/process_status.h"

namespace xsched {

// Opens the control socket and begins to write metrics, as the options say;
// one thread does both, until the process exits. Call it once. What cannot be
// had is missing, with a line in the log; the process goes on. Returns the
// socket's path, empty if there is none.
std::string StartControl(const ShimDescription& shim);

}  // namespace xsched

#endif  // XSCHED_CONTROL_CONTROL_H_
