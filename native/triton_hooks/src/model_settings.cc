// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "model_settings.h"

#include "json.h"
#include "model_scheduling.h"

namespace triton_hooks {
namespace {

using triton::backend::kXSchedFloorParameter;
using triton::backend::kXSchedPriorityParameter;
using triton::backend::kXSchedWeightParameter;
using triton::backend::ParseFloor;
using triton::backend::ParsePriority;
using triton::backend::ParseWeight;

// Reads a parameter, if the configuration has it.
ConfigProblem
ReadParameter(
    const std::string& config, const char* name,
    std::string (*parse)(const std::string&, int32_t*), int32_t* value,
    bool* found)
{
  std::string text;
  const Found has =
      FindString(config, {"parameters", name, "string_value"}, &text);
  *found = has == Found::kYes;
  switch (has) {
    case Found::kYes: {
      const std::string problem = parse(text, value);
      return {problem, !problem.empty()};
    }
    case Found::kNo:
      return {};
    case Found::kMalformed:
      break;
  }
  return {"Triton's JSON of the model configuration is malformed", false};
}

ConfigProblem
ReadTritonsPriority(const std::string& config, Priority* priority)
{
  std::string value;
  if (FindString(config, {"optimization", "priority"}, &value) != Found::kYes) {
    return {};
  }
  if (value == "PRIORITY_MAX") {
    *priority = PRIORITY_MAX;
  } else if (value == "PRIORITY_MIN") {
    *priority = PRIORITY_MIN;
  } else if (value != "PRIORITY_DEFAULT") {
    return {
        "optimization.priority is '" + value + "', which is unknown", false};
  }
  return {};
}

}  // namespace

ConfigProblem
ReadSettings(const std::string& config, ModelSettings* settings)
{
  ModelSettings read;
  bool found = false;
  ConfigProblem problem = ReadParameter(
      config, kXSchedPriorityParameter, &ParsePriority, &read.priority, &found);
  if (problem.text.empty() && !found) {
    problem = ReadTritonsPriority(config, &read.priority);
  }
  if (problem.text.empty()) {
    problem = ReadParameter(
        config, kXSchedFloorParameter, &ParseFloor, &read.floor, &found);
  }
  if (problem.text.empty()) {
    problem = ReadParameter(
        config, kXSchedWeightParameter, &ParseWeight, &read.weight, &found);
  }
  if (problem.text.empty()) {
    *settings = read;
  }
  return problem;
}

}  // namespace triton_hooks
