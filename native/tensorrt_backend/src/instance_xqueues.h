// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <vector>

#include "stream_xqueue.h"
#include "triton/core/tritonserver.h"
#include "xsched/types.h"

namespace triton { namespace backend { namespace tensorrt {

// Create the XQueues of a model instance, one for each of its CUDA
// streams, all with the model's priority. They share the model's floor,
// a percentage, and its weight with those of its other instances.
// Streams that are nullptr are skipped. The streams' device must be the
// current one.
//
// If the streams can't be scheduled, the environment variable
// XSCHED_REQUIRED decides: with ON this is an error; with OFF, or unset,
// 'xqueues' stays empty and a warning gives the reason.
TRITONSERVER_Error* CreateInstanceXQueues(
    const std::string& model_name, const std::string& instance_name,
    const ::Priority priority, const int32_t floor, const int32_t weight,
    const std::vector<cudaStream_t>& streams,
    std::vector<StreamXQueue>* xqueues);

}}}  // namespace triton::backend::tensorrt
