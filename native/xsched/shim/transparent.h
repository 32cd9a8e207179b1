// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The transparent mode, XSCHED_AUTO_XQUEUE: every stream becomes an XQueue.
// Without it, these do nothing.

#ifndef XSCHED_SHIM_TRANSPARENT_H_
#define XSCHED_SHIM_TRANSPARENT_H_

#include "cuda/abi.h"

namespace xsched {

// Gives a new stream an XQueue, with a priority derived from the stream's.
void AdoptStream(CUstream stream);
// Call this before a stream is destroyed.
void ReleaseStream(CUstream stream);

}  // namespace xsched

#endif  // XSCHED_SHIM_TRANSPARENT_H_
