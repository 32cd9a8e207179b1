// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/cuda_hardware.h"
#include "cuda/functions.h"
#include "preempt/scheduler.h"
#include "xsched/cuda/hal.h"

using xsched::CUcontext;
using xsched::CUdevice;
using xsched::CudaHardware;
using xsched::Scheduler;

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
  CUcontext context = nullptr;
  CUdevice device = 0;
  if (xsched::real::cuCtxGetCurrent(&context) != xsched::kCudaSuccess ||
      context == nullptr ||
      xsched::real::cuCtxGetDevice(&device) != xsched::kCudaSuccess) {
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
