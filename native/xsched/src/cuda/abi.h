// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The part of the CUDA driver's binary interface that is used here, declared
// so that no toolkit is needed and one build serves every driver. Enumerations
// are int, and pointers to structures that nobody here looks into are void*.
// tests/headers compares it with the toolkits' cuda.h.

#ifndef XSCHED_CUDA_ABI_H_
#define XSCHED_CUDA_ABI_H_

#include <cstddef>
#include <cstdint>

// The driver's names of what its handles point to.
struct CUarray_st;
struct CUctx_st;
struct CUevent_st;
struct CUfunc_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgreenCtx_st;
struct CUkern_st;
struct CUmemPoolHandle_st;
struct CUstream_st;

namespace xsched {

using CUarray = CUarray_st*;
using CUcontext = CUctx_st*;
using CUevent = CUevent_st*;
using CUfunction = CUfunc_st*;
using CUgraph = CUgraph_st*;
using CUgraphExec = CUgraphExec_st*;
using CUgreenCtx = CUgreenCtx_st*;
using CUkernel = CUkern_st*;
using CUmemoryPool = CUmemPoolHandle_st*;
using CUstream = CUstream_st*;
using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using cuuint64_t = uint64_t;

struct CUuuid {
  char bytes[16];
};

struct CUipcEventHandle {
  char reserved[64];
};

struct CUmemLocation {
  int type;
  int id;
};

struct CUlaunchConfig {
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  void* attrs;
  unsigned int numAttrs;
};

struct CUlaunchAttribute {
  int id;
  char pad[4];
  uint64_t value[8];
};

struct CUDA_LAUNCH_PARAMS {
  CUfunction function;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  void** kernelParams;
};

struct CUDA_MEMCPY2D {
  size_t srcXInBytes, srcY;
  int srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  size_t srcPitch;
  size_t dstXInBytes, dstY;
  int dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  size_t dstPitch;
  size_t WidthInBytes, Height;
};

// Between two contexts as well, where the reserved ones are those contexts.
struct CUDA_MEMCPY3D {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  int srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  void* reserved0;
  size_t srcPitch, srcHeight;
  size_t dstXInBytes, dstY, dstZ, dstLOD;
  int dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  void* reserved1;
  size_t dstPitch, dstHeight;
  size_t WidthInBytes, Height, Depth;
};

// Nobody here looks into the operands of these two.
struct CUDA_MEMCPY3D_BATCH_OP {
  struct Operand {
    uint64_t words[5];
  };
  Operand src, dst;
  struct Extent {
    size_t width, height, depth;
  };
  Extent extent;
  int srcAccessOrder;
  unsigned int flags;
};

struct CUDA_FABRIC_COPY_BATCH_OP {
  struct Operand {
    uint64_t words[3];
  };
  Operand src, dst;
  size_t size;
  unsigned int flags;
};

struct CUmemDecompressParams {
  size_t srcNumBytes;
  size_t dstNumBytes;
  uint32_t* dstActBytes;
  const void* src;
  void* dst;
  int algo;
  unsigned char padding[20];
};

constexpr CUresult kCudaSuccess = 0;
constexpr CUresult kCudaErrorInvalidValue = 1;
constexpr CUresult kCudaErrorInvalidDevice = 101;
constexpr CUresult kCudaErrorInvalidContext = 201;
constexpr CUresult kCudaErrorInvalidHandle = 400;
constexpr CUresult kCudaErrorNotFound = 500;
constexpr CUresult kCudaErrorNotReady = 600;
constexpr CUresult kCudaErrorCaptureUnsupported = 900;
constexpr CUresult kCudaErrorCaptureUnmatched = 903;
constexpr CUresult kCudaErrorCaptureWrongThread = 908;

constexpr uint64_t kStreamLegacy = 1;
constexpr uint64_t kStreamPerThread = 2;
constexpr unsigned int kEventDefault = 0;
constexpr unsigned int kEventDisableTiming = 2;
// The same for a record and for a wait: of a graph's own.
constexpr unsigned int kEventExternal = 1;
constexpr int kGraphNodeWaitEvent = 6;
constexpr int kGraphNodeRecordEvent = 7;
constexpr int kFunctionMaxDynamicSharedSize = 8;
constexpr int kPointerMemoryType = 2;
constexpr int kCaptureNone = 0;
constexpr int kCaptureModeRelaxed = 2;
constexpr cuuint64_t kProcPerThreadStream = 2;

}  // namespace xsched

#endif  // XSCHED_CUDA_ABI_H_
