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
XSCHED_DRIVER_FUNCTION(cuCtxSetCurrent, CUresult(CUcontext));
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
// Since CUDA 12.4.
XSCHED_DRIVER_FUNCTION(cuCtxFromGreenCtx, CUresult(CUcontext*, CUgreenCtx));
XSCHED_DRIVER_FUNCTION(cuStreamGetFlags, CUresult(CUstream, unsigned int*));
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
XSCHED_DRIVER_FUNCTION(
    cuLaunchKernel,
    CUresult(
        CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
        unsigned int, unsigned int, unsigned int, CUstream, void**, void**));
XSCHED_DRIVER_FUNCTION(
    cuLaunchCooperativeKernel,
    CUresult(
        CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
        unsigned int, unsigned int, unsigned int, CUstream, void**));
// Since CUDA 11.6.
XSCHED_DRIVER_FUNCTION(
    cuLaunchKernelEx,
    CUresult(const CUlaunchConfig*, CUfunction, void**, void**));
XSCHED_DRIVER_FUNCTION(
    cuPointerGetAttribute, CUresult(void*, int, CUdeviceptr));
XSCHED_DRIVER_FUNCTION(cuFuncGetAttribute, CUresult(int*, int, CUfunction));
// Since CUDA 12.0.
XSCHED_DRIVER_FUNCTION(
    cuKernelGetAttribute, CUresult(int*, int, CUkernel, CUdevice));
// Since CUDA 12.3.
XSCHED_DRIVER_FUNCTION(cuFuncGetName, CUresult(const char**, CUfunction));
XSCHED_DRIVER_FUNCTION(cuKernelGetName, CUresult(const char**, CUkernel));
// Since CUDA 12.4.
XSCHED_DRIVER_FUNCTION(
    cuFuncGetParamInfo, CUresult(CUfunction, size_t, size_t*, size_t*));
XSCHED_DRIVER_FUNCTION(
    cuKernelGetParamInfo, CUresult(CUkernel, size_t, size_t*, size_t*));

}}  // namespace xsched::real

#endif  // XSCHED_CUDA_FUNCTIONS_H_
