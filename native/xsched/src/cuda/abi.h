// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The part of the CUDA driver's binary interface that is used here, declared
// so that no toolkit is needed and one build serves every driver. Not yet
// compared with the toolkits' headers by a test.

#ifndef XSCHED_CUDA_ABI_H_
#define XSCHED_CUDA_ABI_H_

#include <cstdint>

extern "C" {

struct CUstream_st;
typedef CUstream_st* CUstream;
typedef struct CUctx_st* CUcontext;
typedef struct CUevent_st* CUevent;
typedef struct CUfunc_st* CUfunction;
typedef struct CUgraphExec_st* CUgraphExec;
typedef struct CUgraph_st* CUgraph;
typedef int CUresult;
typedef int CUdevice;
typedef uint64_t cuuint64_t;
typedef unsigned long long CUdeviceptr;

struct CUlaunchConfig {
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  void* attrs;
  unsigned int numAttrs;
};

}  // extern "C"

namespace xsched {

constexpr CUresult kCudaSuccess = 0;
constexpr CUresult kCudaErrorNotInitialized = 3;
constexpr CUresult kCudaErrorDeinitialized = 4;
constexpr CUresult kCudaErrorNoDevice = 100;
constexpr CUresult kCudaErrorInvalidContext = 201;
constexpr CUresult kCudaErrorInvalidHandle = 400;
constexpr CUresult kCudaErrorNotFound = 500;
constexpr CUresult kCudaErrorNotReady = 600;
constexpr CUresult kCudaErrorCaptureUnmatched = 903;
constexpr CUresult kCudaErrorCaptureWrongThread = 908;

constexpr uint64_t kStreamLegacy = 1;
constexpr uint64_t kStreamPerThread = 2;
constexpr unsigned int kEventDefault = 0;
constexpr unsigned int kEventDisableTiming = 2;
constexpr int kCaptureNone = 0;
constexpr int kCaptureModeRelaxed = 2;
constexpr cuuint64_t kProcPerThreadStream = 2;

}  // namespace xsched

#endif  // XSCHED_CUDA_ABI_H_
