// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The driver's functions that the scheduler itself calls.

#ifndef XSCHED_CUDA_FUNCTIONS_H_
#define XSCHED_CUDA_FUNCTIONS_H_

#include "cuda/driver.h"

namespace xsched { namespace real {

XSCHED_DRIVER_FUNCTION(cuCtxGetCurrent, CUresult(CUcontext*));
XSCHED_DRIVER_FUNCTION(cuCtxGetDevice, CUresult(CUdevice*));
XSCHED_DRIVER_FUNCTION(cuCtxPushCurrent_v2, CUresult(CUcontext));
XSCHED_DRIVER_FUNCTION(cuCtxPopCurrent_v2, CUresult(CUcontext*));
XSCHED_DRIVER_FUNCTION(cuCtxGetStreamPriorityRange, CUresult(int*, int*));
XSCHED_DRIVER_FUNCTION(
    cuDevicePrimaryCtxGetState, CUresult(CUdevice, unsigned int*, int*));
XSCHED_DRIVER_FUNCTION(
    cuDevicePrimaryCtxRetain, CUresult(CUcontext*, CUdevice));
// Since CUDA 11.0.
XSCHED_DRIVER_FUNCTION(cuDevicePrimaryCtxRelease_v2, CUresult(CUdevice));
// Since CUDA 11.4 and 9.2.
XSCHED_DRIVER_FUNCTION(cuDeviceGetUuid_v2, CUresult(CUuuid*, CUdevice));
XSCHED_DRIVER_FUNCTION(cuDeviceGetUuid, CUresult(CUuuid*, CUdevice));
XSCHED_DRIVER_FUNCTION(cuStreamGetPriority, CUresult(CUstream, int*));
// Since CUDA 9.2.
XSCHED_DRIVER_FUNCTION(cuStreamGetCtx, CUresult(CUstream, CUcontext*));
XSCHED_DRIVER_FUNCTION(cuStreamQuery, CUresult(CUstream));
XSCHED_DRIVER_FUNCTION(cuStreamSynchronize, CUresult(CUstream));
// Since CUDA 10.0 and 10.1.
XSCHED_DRIVER_FUNCTION(cuStreamIsCapturing, CUresult(CUstream, int*));
XSCHED_DRIVER_FUNCTION(cuThreadExchangeStreamCaptureMode, CUresult(int*));
XSCHED_DRIVER_FUNCTION(cuEventCreate, CUresult(CUevent*, unsigned int));
XSCHED_DRIVER_FUNCTION(cuEventDestroy_v2, CUresult(CUevent));
XSCHED_DRIVER_FUNCTION(cuEventRecord, CUresult(CUevent, CUstream));
XSCHED_DRIVER_FUNCTION(cuEventQuery, CUresult(CUevent));
XSCHED_DRIVER_FUNCTION(cuEventElapsedTime, CUresult(float*, CUevent, CUevent));

}}  // namespace xsched::real

#endif  // XSCHED_CUDA_FUNCTIONS_H_
