// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_INTERCEPT_H_
#define XSCHED_SHIM_INTERCEPT_H_

#include "cuda/abi.h"

// Defines an exported function of the driver's interface.
#define XSCHED_SHIM_FUNCTION \
  extern "C" __attribute__((visibility("default"))) CUresult

namespace xsched {

// Says once, in one line, what this process runs with.
void AnnounceOnce();

// The transparent mode: an XQueue for a new stream, and its end.
void AdoptStream(CUstream stream);
void ReleaseStream(CUstream stream);

}  // namespace xsched

#endif  // XSCHED_SHIM_INTERCEPT_H_
