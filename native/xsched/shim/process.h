// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_PROCESS_H_
#define XSCHED_SHIM_PROCESS_H_

#include "cuda/abi.h"

namespace xsched {

// Logs this process's configuration once, in one line.
void AnnounceOnce();

// What cuInit has returned, for those who ask whether the process is
// scheduled.
void NoteInit(CUresult result);

}  // namespace xsched

#endif  // XSCHED_SHIM_PROCESS_H_
