// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The transparent mode, XSCHED_AUTO_XQUEUE: streams become XQueues by
// themselves. Without it these do nothing.

#ifndef XSCHED_SHIM_TRANSPARENT_H_
#define XSCHED_SHIM_TRANSPARENT_H_

#include "cuda/abi.h"

namespace xsched {

// A new stream gets an XQueue with a priority after its own.
void AdoptStream(CUstream stream);
// The stream is about to be destroyed.
void ReleaseStream(CUstream stream);

}  // namespace xsched

#endif  // XSCHED_SHIM_TRANSPARENT_H_
