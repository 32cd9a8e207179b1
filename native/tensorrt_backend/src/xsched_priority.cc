// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "xsched_priority.h"

#include "triton/backend/backend_common.h"

namespace triton { namespace backend { namespace tensorrt {

namespace {

// Whether 'text' is a decimal integer that a priority can be: an
// optional minus and digits, nothing else.
bool
ParsePriorityNumber(const std::string& text, ::Priority* number)
{
  const bool negative = !text.empty() && text[0] == '-';
  const size_t first = negative ? 1 : 0;
  if (first == text.size()) {
    return false;
  }
  int magnitude = 0;
  for (size_t i = first; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') {
      return false;
    }
    magnitude = magnitude * 10 + (text[i] - '0');
    if (magnitude > PRIORITY_MAX && magnitude > -PRIORITY_MIN) {
      return false;
    }
  }
  *number = negative ? -magnitude : magnitude;
  return *number >= PRIORITY_MIN && *number <= PRIORITY_MAX;
}

}  // namespace

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
  ::Priority parsed = PRIORITY_DEFAULT;
  if (value == "max") {
    parsed = PRIORITY_MAX;
  } else if (value == "min") {
    parsed = PRIORITY_MIN;
  } else if (value != "default") {
    RETURN_ERROR_IF_FALSE(
        ParsePriorityNumber(value, &parsed), TRITONSERVER_ERROR_INVALID_ARG,
        std::string("model parameter '") + kXSchedPriorityParameter + "' is '" +
            value + "', but must be an integer from " +
            std::to_string(PRIORITY_MIN) + " to " +
            std::to_string(PRIORITY_MAX) + ", 'max', 'default' or 'min'");
  }

  *priority = parsed;
  return nullptr;  // success
}

}}}  // namespace triton::backend::tensorrt
