// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "xsched_priority.h"

#include <cstdlib>

#include "triton/backend/backend_common.h"

namespace triton { namespace backend { namespace tensorrt {

namespace {

// Whether 'text' is a decimal integer: an optional minus and digits,
// nothing else.
bool
ParsePriorityNumber(const std::string& text, ::Priority* priority)
{
  const char* begin = text.c_str();
  const char first_digit = (*begin == '-') ? begin[1] : begin[0];
  // Numbers far out of range become LONG_MIN or LONG_MAX.
  char* end = nullptr;
  const long number = strtol(begin, &end, 10);
  if (first_digit < '0' || first_digit > '9' || end != begin + text.size() ||
      number < PRIORITY_MIN || number > PRIORITY_MAX) {
    return false;
  }
  *priority = number;
  return true;
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
