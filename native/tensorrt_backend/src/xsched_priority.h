// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <string>

#include "tensorrt_model.h"
#include "triton/core/tritonserver.h"
#include "xsched/types.h"

namespace triton { namespace backend { namespace tensorrt {

// The parameter in the model configuration that sets the priority of
// the model's XQueues.
constexpr char kXSchedPriorityParameter[] = "xsched_priority";

// The priority of a model without that parameter. As stream
// priorities, default and minimum are the same; here they are not.
::Priority ToXSchedPriority(const TensorRTModel::Priority priority);

// Parse the parameter's value: an integer, larger is more urgent, or
// 'max', 'default' or 'min'. On error, 'priority' is unchanged.
TRITONSERVER_Error* ParseXSchedPriority(
    const std::string& value, ::Priority* priority);

}}}  // namespace triton::backend::tensorrt
