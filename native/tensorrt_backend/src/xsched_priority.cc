// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "xsched_priority.h"

namespace triton { namespace backend { namespace tensorrt {

::Priority
ToXSchedPriority(const TensorRTModel::Priority priority)
{
  switch (priority) {
    case TensorRTModel::Priority::MAX:
      return PRIORITY_MAX;
    case TensorRTModel::Priority::MIN:
      return PRIORITY_MIN;
    default:
      return PRIORITY_DEFAULT;
  }
}

TRITONSERVER_Error*
ParseXSchedPriority(const std::string& value, ::Priority* priority)
{
  const std::string problem = ParsePriority(value, priority);
  return problem.empty() ? nullptr
                         : TRITONSERVER_ErrorNew(
                               TRITONSERVER_ERROR_INVALID_ARG, problem.c_str());
}

}}}  // namespace triton::backend::tensorrt
