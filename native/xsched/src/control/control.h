// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_CONTROL_H_
#define XSCHED_CONTROL_CONTROL_H_

#include <string>

#include "control/process_status.h"

namespace xsched {

// Opens the control socket and starts writing metrics, as the options say. One
// thread does both until the process exits. Call this once. If either fails,
// the log says so and the process goes on without it. Returns the socket's
// path, or an empty string without a socket.
std::string StartControl(const ShimDescription& shim);

}  // namespace xsched

#endif  // XSCHED_CONTROL_CONTROL_H_
