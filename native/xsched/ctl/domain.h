// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_DOMAIN_H_
#define XSCHED_CTL_DOMAIN_H_

#include <cstdint>

#include "ctl/exit_code.h"

namespace xsched {

// Lists the processes of the user's scheduling domain on each GPU, who waits
// for whom, and, unless as JSON, the queues of those that have a control socket.
ExitCode ListDomain(bool as_json);
// The same with each process's share of the GPU's time, until the last process
// has left or the user interrupts it.
ExitCode WatchDomain(int64_t interval_ns);

}  // namespace xsched

#endif  // XSCHED_CTL_DOMAIN_H_
