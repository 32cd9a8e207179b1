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
  // To retain it is the only way to its handle; an inactive one would be made
  // by that.
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
