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

namespace {

TRITONSERVER_Error*
ErrorIfProblem(const std::string& problem)
{
  return problem.empty() ? nullptr
                         : TRITONSERVER_ErrorNew(
                               TRITONSERVER_ERROR_INVALID_ARG, problem.c_str());
}

}  // namespace

TRITONSERVER_Error*
ParseXSchedPriority(const std::string& value, ::Priority* priority)
{
  return ErrorIfProblem(ParsePriority(value, priority));
}

TRITONSERVER_Error*
ParseXSchedFloor(const std::string& value, int32_t* percent)
{
  return ErrorIfProblem(ParseFloor(value, percent));
}

TRITONSERVER_Error*
ParseXSchedWeight(const std::string& value, int32_t* weight)
{
  return ErrorIfProblem(ParseWeight(value, weight));
}

}}}  // namespace triton::backend::tensorrt
