// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <string>

#include "model_scheduling.h"
#include "tensorrt_model.h"
#include "triton/core/tritonserver.h"
#include "xsched/types.h"

namespace triton { namespace backend { namespace tensorrt {

// The priority of a model without the parameter that sets it. As stream
// priorities, default and minimum are the same; here they are not.
::Priority ToXSchedPriority(const TensorRTModel::Priority priority);

// Parse the parameter's value: an integer, larger is more urgent, or
// 'max', 'default' or 'min'. On error, 'priority' is unchanged.
TRITONSERVER_Error* ParseXSchedPriority(
    const std::string& value, ::Priority* priority);

// Parse the value of the parameter that sets the model's floor: an
// integer from 0 to 50. On error, 'percent' is unchanged.
TRITONSERVER_Error* ParseXSchedFloor(
    const std::string& value, int32_t* percent);

// Parse the value of the parameter that sets the model's weight: an
// integer from 0 to 100. On error, 'weight' is unchanged.
TRITONSERVER_Error* ParseXSchedWeight(
    const std::string& value, int32_t* weight);

}}}  // namespace triton::backend::tensorrt
