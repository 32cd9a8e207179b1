// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Work: launches pass the gate; copies only make their queue ready.

#include "cuda/capture.h"
#include "cuda/functions.h"
#include "preempt/scheduler.h"
#include "shim/intercept.h"

namespace xsched {
namespace {

// The per-thread default stream's variants take the null stream to mean that
// stream.
uint64_t
StreamOf(CUstream stream, bool per_thread)
{
  const uint64_t handle = reinterpret_cast<uint64_t>(stream);
  return per_thread && handle == 0 ? kStreamPerThread : handle;
}

// The queue that work in a stream belongs to: the stream's own, or the one
// that this thread works for. Libraries launch into streams of their own on
// behalf of the stream they were given.
Queue*
OwnerOf(const Scheduler& scheduler, uint64_t stream)
{
  if (stream > kStreamPerThread) {
    if (Queue* queue = scheduler.Find(stream)) {
      return queue;
    }
  }
  CUcontext context = nullptr;
  return real::cuCtxGetCurrent(&context) == kCudaSuccess
             ? scheduler.CurrentOfThread(reinterpret_cast<uint64_t>(context))
             : nullptr;
}

LaunchKey
KeyOf(
    const void* function, unsigned int x, unsigned int y, unsigned int z,
    unsigned int bx, unsigned int by, unsigned int bz)
{
  uint64_t shape = Mix(x | static_cast<uint64_t>(y) << 32);
  shape = Mix(shape ^ (z | static_cast<uint64_t>(bx) << 32));
  shape = Mix(shape ^ (by | static_cast<uint64_t>(bz) << 32));
  return {reinterpret_cast<uint64_t>(function), shape};
}

template <typename KeyFunction, typename Call>
inline CUresult
Launch(CUstream stream, bool per_thread, const KeyFunction& key, const Call& call)
{
  if (!Scheduler::Active()) {
    return call();
  }
  Scheduler& scheduler = Scheduler::Get();
  const uint64_t handle = StreamOf(stream, per_thread);
  Queue* queue = OwnerOf(scheduler, handle);
  if (queue == nullptr ||
      Captures::Includes(reinterpret_cast<CUstream>(handle))) {
    return call();
  }
  const LaunchTicket ticket = scheduler.BeforeLaunch(queue, handle, key);
  const CUresult result = call();
  scheduler.AfterLaunch(queue, handle, ticket, result == kCudaSuccess);
  return result;
}

template <typename Call>
inline CUresult
Copy(CUstream stream, bool per_thread, const Call& call)
{
  if (!Scheduler::Active()) {
    return call();
  }
  Scheduler& scheduler = Scheduler::Get();
  const uint64_t handle = StreamOf(stream, per_thread);
  Queue* queue = handle > kStreamPerThread ? scheduler.Find(handle) : nullptr;
  if (queue == nullptr ||
      Captures::Includes(reinterpret_cast<CUstream>(handle))) {
    return call();
  }
  scheduler.BeforeWork(queue);
  const CUresult result = call();
  scheduler.AfterWork(queue);
  return result;
}

}  // namespace
}  // namespace xsched

namespace xsched {
namespace real {

XSCHED_DRIVER_FUNCTION(cuLaunchKernel, CUresult(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, CUstream, void**, void**));
XSCHED_DRIVER_FUNCTION(cuLaunchKernel_ptsz, CUresult(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, CUstream, void**, void**));
XSCHED_DRIVER_FUNCTION(cuLaunchCooperativeKernel, CUresult(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, CUstream, void**));
XSCHED_DRIVER_FUNCTION(cuLaunchCooperativeKernel_ptsz, CUresult(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, CUstream, void**));
XSCHED_DRIVER_FUNCTION(cuLaunchKernelEx, CUresult(const CUlaunchConfig*, CUfunction, void**, void**));
XSCHED_DRIVER_FUNCTION(cuLaunchKernelEx_ptsz, CUresult(const CUlaunchConfig*, CUfunction, void**, void**));
XSCHED_DRIVER_FUNCTION(cuGraphLaunch, CUresult(CUgraphExec, CUstream));
XSCHED_DRIVER_FUNCTION(cuGraphLaunch_ptsz, CUresult(CUgraphExec, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyAsync, CUresult(CUdeviceptr, CUdeviceptr, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyAsync_ptsz, CUresult(CUdeviceptr, CUdeviceptr, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyHtoDAsync_v2, CUresult(CUdeviceptr, const void*, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyHtoDAsync_v2_ptsz, CUresult(CUdeviceptr, const void*, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyDtoHAsync_v2, CUresult(void*, CUdeviceptr, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyDtoHAsync_v2_ptsz, CUresult(void*, CUdeviceptr, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyDtoDAsync_v2, CUresult(CUdeviceptr, CUdeviceptr, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemcpyDtoDAsync_v2_ptsz, CUresult(CUdeviceptr, CUdeviceptr, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemsetD8Async, CUresult(CUdeviceptr, unsigned char, size_t, CUstream));
XSCHED_DRIVER_FUNCTION(cuMemsetD8Async_ptsz, CUresult(CUdeviceptr, unsigned char, size_t, CUstream));

}  // namespace real
}  // namespace xsched

using xsched::Copy;
using xsched::KeyOf;
using xsched::Launch;

XSCHED_SHIM_FUNCTION
cuLaunchKernel(
    CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void** kernelParams, void** extra)
{
  return Launch(
      hStream, false,
      [=] {
        return KeyOf(
            f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ);
      },
      [&] { return xsched::real::cuLaunchKernel(f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes, hStream, kernelParams, extra); });
}

XSCHED_SHIM_FUNCTION
cuLaunchKernel_ptsz(
    CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void** kernelParams, void** extra)
{
  return Launch(
      hStream, true,
      [=] {
        return KeyOf(
            f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ);
      },
      [&] { return xsched::real::cuLaunchKernel_ptsz(f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes, hStream, kernelParams, extra); });
}

XSCHED_SHIM_FUNCTION
cuLaunchCooperativeKernel(
    CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void** kernelParams)
{
  return Launch(
      hStream, false,
      [=] {
        return KeyOf(
            f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ);
      },
      [&] { return xsched::real::cuLaunchCooperativeKernel(f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes, hStream, kernelParams); });
}

XSCHED_SHIM_FUNCTION
cuLaunchCooperativeKernel_ptsz(
    CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void** kernelParams)
{
  return Launch(
      hStream, true,
      [=] {
        return KeyOf(
            f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ);
      },
      [&] { return xsched::real::cuLaunchCooperativeKernel_ptsz(f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes, hStream, kernelParams); });
}

XSCHED_SHIM_FUNCTION
cuLaunchKernelEx(
    const CUlaunchConfig* config, CUfunction f, void** kernelParams, void** extra)
{
  return Launch(
      config == nullptr ? nullptr : config->hStream, false,
      [=] {
        return config == nullptr ? xsched::LaunchKey{}
                                 : KeyOf(
                                       f, config->gridDimX, config->gridDimY,
                                       config->gridDimZ, config->blockDimX,
                                       config->blockDimY, config->blockDimZ);
      },
      [&] { return xsched::real::cuLaunchKernelEx(config, f, kernelParams, extra); });
}

XSCHED_SHIM_FUNCTION
cuLaunchKernelEx_ptsz(
    const CUlaunchConfig* config, CUfunction f, void** kernelParams, void** extra)
{
  return Launch(
      config == nullptr ? nullptr : config->hStream, true,
      [=] {
        return config == nullptr ? xsched::LaunchKey{}
                                 : KeyOf(
                                       f, config->gridDimX, config->gridDimY,
                                       config->gridDimZ, config->blockDimX,
                                       config->blockDimY, config->blockDimZ);
      },
      [&] { return xsched::real::cuLaunchKernelEx_ptsz(config, f, kernelParams, extra); });
}

XSCHED_SHIM_FUNCTION
cuGraphLaunch(
    CUgraphExec hGraphExec, CUstream hStream)
{
  return Launch(
      hStream, false,
      [=] { return xsched::LaunchKey{reinterpret_cast<uint64_t>(hGraphExec), 0}; },
      [&] { return xsched::real::cuGraphLaunch(hGraphExec, hStream); });
}

XSCHED_SHIM_FUNCTION
cuGraphLaunch_ptsz(
    CUgraphExec hGraphExec, CUstream hStream)
{
  return Launch(
      hStream, true,
      [=] { return xsched::LaunchKey{reinterpret_cast<uint64_t>(hGraphExec), 0}; },
      [&] { return xsched::real::cuGraphLaunch_ptsz(hGraphExec, hStream); });
}

XSCHED_SHIM_FUNCTION
cuMemcpyAsync(
    CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, false, [&] {
    return xsched::real::cuMemcpyAsync(dst, src, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyAsync_ptsz(
    CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, true, [&] {
    return xsched::real::cuMemcpyAsync_ptsz(dst, src, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyHtoDAsync_v2(
    CUdeviceptr dstDevice, const void* srcHost, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, false, [&] {
    return xsched::real::cuMemcpyHtoDAsync_v2(dstDevice, srcHost, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyHtoDAsync_v2_ptsz(
    CUdeviceptr dstDevice, const void* srcHost, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, true, [&] {
    return xsched::real::cuMemcpyHtoDAsync_v2_ptsz(dstDevice, srcHost, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyDtoHAsync_v2(
    void* dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, false, [&] {
    return xsched::real::cuMemcpyDtoHAsync_v2(dstHost, srcDevice, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyDtoHAsync_v2_ptsz(
    void* dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, true, [&] {
    return xsched::real::cuMemcpyDtoHAsync_v2_ptsz(dstHost, srcDevice, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyDtoDAsync_v2(
    CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, false, [&] {
    return xsched::real::cuMemcpyDtoDAsync_v2(dstDevice, srcDevice, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemcpyDtoDAsync_v2_ptsz(
    CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
  return Copy(hStream, true, [&] {
    return xsched::real::cuMemcpyDtoDAsync_v2_ptsz(dstDevice, srcDevice, ByteCount, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemsetD8Async(
    CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream hStream)
{
  return Copy(hStream, false, [&] {
    return xsched::real::cuMemsetD8Async(dstDevice, uc, N, hStream);
  });
}

XSCHED_SHIM_FUNCTION
cuMemsetD8Async_ptsz(
    CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream hStream)
{
  return Copy(hStream, true, [&] {
    return xsched::real::cuMemsetD8Async_ptsz(dstDevice, uc, N, hStream);
  });
}
