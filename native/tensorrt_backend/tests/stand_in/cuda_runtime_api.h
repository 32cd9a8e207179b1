// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The part of the CUDA runtime that the backend's sources need.

#ifndef STAND_IN_CUDA_RUNTIME_API_H_
#define STAND_IN_CUDA_RUNTIME_API_H_

typedef struct CUstream_st* cudaStream_t;

#endif  // STAND_IN_CUDA_RUNTIME_API_H_
