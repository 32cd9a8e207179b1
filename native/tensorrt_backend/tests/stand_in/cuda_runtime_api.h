// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What the backend's sources need of the CUDA runtime.

#ifndef STAND_IN_CUDA_RUNTIME_API_H_
#define STAND_IN_CUDA_RUNTIME_API_H_

typedef struct CUstream_st* cudaStream_t;

#endif  // STAND_IN_CUDA_RUNTIME_API_H_
