// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "model_scheduling.h"

#include <dlfcn.h>
#include <link.h>
#include <strings.h>

#include <algorithm>
#include <cstdlib>

#include "xsched/ext.h"
#include "xsched/xqueue.h"

namespace triton { namespace backend {

namespace {

constexpr char kDriverLibrary[] = "libcuda.so.1";

// Bytes that XQueueSetName allows.
constexpr size_t kMaxNameSize = 63;

// Whether 'text' is a decimal integer in that range: an optional minus
// and digits, nothing else.
bool
ParseInteger(
    const std::string& text, const int32_t minimum, const int32_t maximum,
    int32_t* value)
{
  const char* begin = text.c_str();
  const char first_digit = (*begin == '-') ? begin[1] : begin[0];
  // Numbers far out of range become LONG_MIN or LONG_MAX.
  char* end = nullptr;
  const long number = strtol(begin, &end, 10);
  if (first_digit < '0' || first_digit > '9' || end != begin + text.size() ||
      number < minimum || number > maximum) {
    return false;
  }
  *value = number;
  return true;
}

bool
IsUtf8Continuation(const char c)
{
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

std::string
ParsePriority(const std::string& value, ::Priority* priority)
{
  if (value == "max") {
    *priority = PRIORITY_MAX;
  } else if (value == "min") {
    *priority = PRIORITY_MIN;
  } else if (value == "default") {
    *priority = PRIORITY_DEFAULT;
  } else if (!ParseInteger(value, PRIORITY_MIN, PRIORITY_MAX, priority)) {
    return std::string("model parameter '") + kXSchedPriorityParameter +
           "' is '" + value + "', but must be an integer from " +
           std::to_string(PRIORITY_MIN) + " to " +
           std::to_string(PRIORITY_MAX) + ", 'max', 'default' or 'min'";
  }
  return "";
}

std::string
ParseFloor(const std::string& value, int32_t* percent)
{
  if (!ParseInteger(value, 0, XSCHED_MAX_FLOOR, percent)) {
    return std::string("model parameter '") + kXSchedFloorParameter + "' is '" +
           value + "', but must be an integer from 0 to " +
           std::to_string(XSCHED_MAX_FLOOR) + ", in percent of the GPU's time";
  }
  return "";
}

std::string
ParseWeight(const std::string& value, int32_t* weight)
{
  if (!ParseInteger(value, 0, XSCHED_MAX_WEIGHT, weight)) {
    return std::string("model parameter '") + kXSchedWeightParameter +
           "' is '" + value + "', but must be an integer from 0 (none) to " +
           std::to_string(XSCHED_MAX_WEIGHT);
  }
  return "";
}

std::string
SchedulingWords(
    const ::Priority priority, const int32_t floor, const int32_t weight)
{
  std::string words = "priority " + std::to_string(priority);
  if (floor != 0) {
    words += (weight == 0 ? " and a floor of " : ", a floor of ") +
             std::to_string(floor) + " %";
  }
  if (weight != 0) {
    words += " and weight " + std::to_string(weight);
  }
  return words;
}

std::string
ReadXSchedRequired(bool* required)
{
  const char* env = getenv(kXSchedRequiredVariable);
  const std::string value = (env == nullptr) ? "" : env;
  if (strcasecmp(value.c_str(), "ON") == 0 || value == "1") {
    *required = true;
  } else if (
      value.empty() || strcasecmp(value.c_str(), "OFF") == 0 || value == "0") {
    *required = false;
  } else {
    return std::string("environment variable ") + kXSchedRequiredVariable +
           " is '" + value + "', but must be ON or OFF";
  }
  return "";
}

std::string
ShimProblem()
{
  // The CUDA runtimes of this process, including TensorRT's, loaded the
  // driver by this name, so they call the library that the loader knows
  // by it. Global symbols can't tell: runtimes load the driver without
  // making its symbols global.
  void* library = dlopen(kDriverLibrary, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) {
    return std::string("no ") + kDriverLibrary + " is loaded";
  }

  const bool is_shim = dlsym(library, "xsched_shim_version") != nullptr;
  // The shim must look for XQueues where this library creates them.
  const bool same_xsched =
      dlsym(library, "XQueueCreate") == reinterpret_cast<void*>(&XQueueCreate);
  struct link_map* map = nullptr;
  const std::string path =
      (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0) ? map->l_name : "";
  dlclose(library);

  if (!is_shim) {
    return std::string(kDriverLibrary) + " is " + path +
           ", which is not XSched's; put the directory of XSched's first in "
           "LD_LIBRARY_PATH";
  }
  if (!same_xsched) {
    return std::string(kDriverLibrary) + " is " + path +
           ", which does not use the libpreempt.so of this backend; install "
           "XSched once and put its directory first in LD_LIBRARY_PATH";
  }
  return "";
}

std::string
XQueueName(const std::string& model_name, const std::string& instance_name)
{
  std::string name = model_name + "/" + instance_name;
  if (name.size() > kMaxNameSize) {
    // Don't cut a character in the middle.
    const size_t instance = model_name.size() + 1;
    if (instance < kMaxNameSize) {
      size_t cut = name.size() - kMaxNameSize;
      while (IsUtf8Continuation(name[instance + cut])) {
        ++cut;
      }
      name.erase(instance, cut);
    } else {
      size_t end = std::min(kMaxNameSize, model_name.size());
      while (end > 0 && IsUtf8Continuation(name[end])) {
        --end;
      }
      name.resize(end);
    }
  }

  // A name in XSched is a single line.
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      c = '_';
    }
  }
  return name;
}

}}  // namespace triton::backend
