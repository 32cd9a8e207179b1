// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_DOMAIN_H_
#define XSCHED_CTL_DOMAIN_H_

#include "ctl/exit_code.h"

namespace xsched {

// Lists the processes of the user's scheduling domain on each GPU, who waits
// for whom, and the queues of those that have a control socket.
ExitCode ListDomain();

}  // namespace xsched

#endif  // XSCHED_CTL_DOMAIN_H_
