// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The driver's functions as the tests call them.

#ifndef XSCHED_TESTS_DRIVER_INTERFACE_H_
#define XSCHED_TESTS_DRIVER_INTERFACE_H_

#include <cstddef>

#include "cuda/abi.h"

// The names of cuda.h.
using xsched::CUcontext;
using xsched::CUDA_FABRIC_COPY_BATCH_OP;
using xsched::CUDA_LAUNCH_PARAMS;
using xsched::CUDA_MEMCPY2D;
using xsched::CUDA_MEMCPY3D;
using xsched::CUDA_MEMCPY3D_BATCH_OP;
using xsched::CUdevice;
using xsched::CUdeviceptr;
using xsched::CUevent;
using xsched::CUfunction;
using xsched::CUgraph;
using xsched::CUgraphExec;
using xsched::CUgreenCtx;
using xsched::CUipcEventHandle;
using xsched::CUlaunchConfig;
using xsched::CUmemDecompressParams;
using xsched::CUresult;
using xsched::CUstream;
using xsched::cuuint64_t;

extern "C" {
CUresult cuInit(unsigned int);
CUresult cuCtxCreate_v2(CUcontext*, unsigned int, CUdevice);
CUresult cuCtxDestroy_v2(CUcontext);
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuCtxGetCurrent(CUcontext*);
CUresult cuDeviceGetCount(int*);
CUresult cuDevicePrimaryCtxRetain(CUcontext*, CUdevice);
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice);
CUresult cuDevicePrimaryCtxReset_v2(CUdevice);
CUresult cuGreenCtxDestroy(CUgreenCtx);
CUresult cuGreenCtxStreamCreate(CUstream*, CUgreenCtx, unsigned int, int);
CUresult cuCtxSynchronize();
CUresult cuCtxSynchronize_v2(CUcontext);
CUresult cuStreamCreate(CUstream*, unsigned int);
CUresult cuStreamCreateWithPriority(CUstream*, unsigned int, int);
CUresult cuStreamDestroy_v2(CUstream);
CUresult cuStreamSynchronize(CUstream);
CUresult cuStreamSynchronize_ptsz(CUstream);
CUresult cuStreamQuery(CUstream);
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned int);
CUresult cuStreamBeginCapture_v2(CUstream, int);
CUresult cuStreamBeginCapture_v2_ptsz(CUstream, int);
CUresult cuStreamEndCapture(CUstream, CUgraph*);
CUresult cuStreamEndCapture_ptsz(CUstream, CUgraph*);
CUresult cuEventCreate(CUevent*, unsigned int);
CUresult cuEventDestroy_v2(CUevent);
CUresult cuEventRecord(CUevent, CUstream);
CUresult cuEventRecordWithFlags(CUevent, CUstream, unsigned int);
CUresult cuCtxRecordEvent(CUcontext, CUevent);
CUresult cuGreenCtxRecordEvent(CUgreenCtx, CUevent);
CUresult cuIpcGetEventHandle(CUipcEventHandle*, CUevent);
CUresult cuIpcOpenEventHandle(CUevent*, CUipcEventHandle);
CUresult cuGraphAddEventRecordNode(
    void**, CUgraph, const void*, size_t, CUevent);
CUresult cuGraphAddNode_v2(
    void**, CUgraph, const void*, const void*, size_t, void*);
CUresult cuEventSynchronize(CUevent);
CUresult cuEventQuery(CUevent);
CUresult cuLaunchKernel(
    CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream, void**, void**);
CUresult cuLaunchKernel_ptsz(
    CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream, void**, void**);
CUresult cuLaunchCooperativeKernelMultiDevice(
    CUDA_LAUNCH_PARAMS*, unsigned int, unsigned int);
CUresult cuLaunchKernelEx(const CUlaunchConfig*, CUfunction, void**, void**);
CUresult cuGraphLaunch(CUgraphExec, CUstream);
CUresult cuGraphExecDestroy(CUgraphExec);
CUresult cuGraphExecUpdate_v2(CUgraphExec, CUgraph, void*);
CUresult cuGraphNodeSetEnabled(CUgraphExec, void*, unsigned int);
CUresult cuModuleUnload(void*);
CUresult cuLibraryUnload(void*);
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr, const void*, size_t, CUstream);
CUresult cuMemcpy2DAsync_v2(const void*, CUstream);
CUresult cuMemcpy3DAsync_v2(const void*, CUstream);
CUresult cuMemsetD32Async(CUdeviceptr, unsigned int, size_t, CUstream);
CUresult cuMemFreeAsync(CUdeviceptr, CUstream);
CUresult cuMemcpyBatchAsync(
    CUdeviceptr*, CUdeviceptr*, size_t*, size_t, void*, size_t*, size_t,
    size_t*, CUstream);
CUresult cuMemcpyBatchAsync_v2_ptsz(
    CUdeviceptr*, CUdeviceptr*, size_t*, size_t, void*, size_t*, size_t,
    CUstream);
CUresult cuMemcpy3DBatchAsync(
    size_t, void*, size_t*, unsigned long long, CUstream);
CUresult cuMemcpy3DBatchAsync_v2(size_t, void*, unsigned long long, CUstream);
CUresult cuMemcpy3DWithAttributesAsync(void*, unsigned long long, CUstream);
CUresult cuFabricCpyBatchAsync(size_t, void*, unsigned long long, CUstream);
CUresult cuMemBatchDecompressAsync(
    void*, size_t, unsigned int, size_t*, CUstream);
CUresult cuGetProcAddress(const char*, void**, int, cuuint64_t);
CUresult cuGetProcAddress_v2(const char*, void**, int, cuuint64_t, int*);
CUresult cuGetExportTable(const void**, const void*);
CUresult cuTexRefSetMipmapLevelBias(void*, float);
CUresult cuTensorMapEncodeTiled(
    void*, int, unsigned int, void*, const cuuint64_t*, const cuuint64_t*,
    const unsigned int*, const unsigned int*, int, int, int, int);
CUresult cuMulticastCreate(void*, const void*);
}

inline CUresult
LaunchOn(CUstream stream, CUfunction function)
{
  return cuLaunchKernel(
      function, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr);
}

#endif  // XSCHED_TESTS_DRIVER_INTERFACE_H_
