// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/context_scope.h"
#include "cuda/cuda_hardware.h"
#include "cuda/functions.h"
#include "preempt/scheduler.h"
#include "xsched/cuda/hal.h"

using xsched::CUcontext;
using xsched::CudaHardware;
using xsched::CUdevice;
using xsched::Scheduler;

namespace {

// The context that a stream belongs to, which need not be the current one.
CUcontext
ContextOf(CUstream stream)
{
  CUcontext context = nullptr;
  if (xsched::real::cuStreamGetCtx(stream, &context) == xsched::kCudaSuccess &&
      context != nullptr) {
    return context;
  }
  // Drivers from before CUDA 9.2, and some on streams of green contexts.
  return xsched::real::cuCtxGetCurrent(&context) == xsched::kCudaSuccess
             ? context
             : nullptr;
}

bool
DeviceOf(CUcontext context, CUdevice* device)
{
  xsched::ContextScope scope(context);
  return xsched::real::cuCtxGetDevice(device) == xsched::kCudaSuccess;
}

}  // namespace

XSCHED_EXPORT XResult
CudaQueueCreate(HwQueueHandle* hwq, CUstream stream)
{
  if (hwq == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  const uint64_t handle = reinterpret_cast<uint64_t>(stream);
  if (handle <= xsched::kStreamPerThread) {
    return kXSchedErrorNotSupported;
  }
  const CUcontext context = ContextOf(stream);
  CUdevice device = 0;
  if (context == nullptr || !DeviceOf(context, &device)) {
    return kXSchedErrorHardware;
  }
  try {
    return Scheduler::Get().CreateHwQueue(
        CudaHardware::Get(), device, reinterpret_cast<uint64_t>(context),
        handle, hwq);
  } catch (...) {
    return kXSchedErrorUnknown;
  }
}

XSCHED_EXPORT XResult
CudaQueueGet(HwQueueHandle* hwq, CUstream stream)
{
  if (hwq == nullptr) {
    return kXSchedErrorInvalidValue;
  }
  return Scheduler::Get().FindHwQueue(reinterpret_cast<uint64_t>(stream), hwq);
}
