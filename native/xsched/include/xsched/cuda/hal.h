// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
// CUDA streams as hardware queues.

#ifndef XSCHED_CUDA_HAL_H_
#define XSCHED_CUDA_HAL_H_

#include "xsched/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st* CUstream;

// Makes 'stream' known and stores its handle, whichever context is current. A
// stream that is known already gives the same handle. The default streams are
// not supported.
XResult CudaQueueCreate(HwQueueHandle* hwq, CUstream stream);

// Stores the handle of a stream that is known.
XResult CudaQueueGet(HwQueueHandle* hwq, CUstream stream);

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_CUDA_HAL_H_
