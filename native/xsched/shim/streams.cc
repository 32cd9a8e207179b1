// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/streams.h"

namespace xsched {

CUcontext
ActivePrimary(CUdevice device)
{
  unsigned int flags = 0;
  int active = 0;
  CUcontext context = nullptr;
  // Retaining it is the only way to get its handle, but would create an
  // inactive one.
  if (real::cuDevicePrimaryCtxGetState(device, &flags, &active) !=
          kCudaSuccess ||
      active == 0 ||
      real::cuDevicePrimaryCtxRetain(&context, device) != kCudaSuccess) {
    return nullptr;
  }
  real::cuDevicePrimaryCtxRelease_v2(device);
  return context;
}

}  // namespace xsched
