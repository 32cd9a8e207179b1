// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "model_priority.h"

#include "json.h"
#include "model_scheduling.h"

namespace triton_hooks {

using triton::backend::kXSchedPriorityParameter;
using triton::backend::ParsePriority;

ConfigProblem
ReadPriority(const std::string& config, Priority* priority)
{
  std::string value;
  switch (FindString(
      config, {"parameters", kXSchedPriorityParameter, "string_value"},
      &value)) {
    case Found::kYes: {
      const std::string problem = ParsePriority(value, priority);
      return {problem, !problem.empty()};
    }
    case Found::kNo:
      break;
    case Found::kMalformed:
      return {"Triton's JSON of the model configuration is malformed", false};
  }
  Priority of_triton = PRIORITY_DEFAULT;
  if (FindString(config, {"optimization", "priority"}, &value) == Found::kYes) {
    if (value == "PRIORITY_MAX") {
      of_triton = PRIORITY_MAX;
    } else if (value == "PRIORITY_MIN") {
      of_triton = PRIORITY_MIN;
    } else if (value != "PRIORITY_DEFAULT") {
      return {
          "optimization.priority is '" + value + "', which is unknown", false};
    }
  }
  *priority = of_triton;
  return {};
}

}  // namespace triton_hooks
