// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_PROCESS_H_
#define XSCHED_SHIM_PROCESS_H_

namespace xsched {

// Says once, in one line, what this process runs with.
void AnnounceOnce();

}  // namespace xsched

#endif  // XSCHED_SHIM_PROCESS_H_
