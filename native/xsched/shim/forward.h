// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_FORWARD_H_
#define XSCHED_SHIM_FORWARD_H_

namespace xsched {

// In a process that may run ahead: what to call in place of a function that the
// driver has returned for a name, and that no table intercepts. It first waits for
// what is kept, unless asks.txt has it.
void* FindForward(const char* name, void* found);

}  // namespace xsched

#endif  // XSCHED_SHIM_FORWARD_H_
