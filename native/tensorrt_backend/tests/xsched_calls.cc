// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "xsched_calls.h"

#include <dlfcn.h>

#include <map>
#include <set>

#include "allocations.h"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

namespace {

std::vector<std::string> noted;
std::map<std::string, XResult> failing;
std::set<std::string> starving;

template <typename... Args>
XResult
Forward(const char* function, const std::string& note, Args... args)
{
  noted.push_back(note);
  const auto found = failing.find(function);
  if (found != failing.end()) {
    return found->second;
  }
  const auto xsched =
      reinterpret_cast<XResult (*)(Args...)>(dlsym(RTLD_NEXT, function));
  if (starving.count(function) == 0) {
    return xsched(args...);
  }
  allocations::OutOfMemory starve;
  return xsched(args...);
}

}  // namespace

namespace calls {

void
Reset()
{
  noted.clear();
  failing.clear();
  starving.clear();
}

std::vector<std::string>
Take()
{
  std::vector<std::string> taken;
  taken.swap(noted);
  return taken;
}

void
Note(const std::string& step)
{
  noted.push_back(step);
}

void
Fail(const std::string& function, XResult result)
{
  failing[function] = result;
}

void
Starve(const std::string& function)
{
  starving.insert(function);
}

}  // namespace calls

// The program's functions take precedence over the libraries'.
extern "C" {

XResult
CudaQueueCreate(HwQueueHandle* hwq, CUstream stream)
{
  return Forward("CudaQueueCreate", "CudaQueueCreate", hwq, stream);
}

XResult
XQueueCreate(XQueueHandle* xq, HwQueueHandle hwq, int64_t level, int64_t flags)
{
  return Forward("XQueueCreate", "XQueueCreate", xq, hwq, level, flags);
}

XResult
XHintPriority(XQueueHandle xq, Priority priority)
{
  return Forward(
      "XHintPriority", "XHintPriority " + std::to_string(priority), xq,
      priority);
}

XResult
XQueueSetName(XQueueHandle xq, const char* name)
{
  return Forward(
      "XQueueSetName", std::string("XQueueSetName ") + name, xq, name);
}

XResult
XQueueSetFloor(XQueueHandle xq, int32_t percent)
{
  return Forward(
      "XQueueSetFloor", "XQueueSetFloor " + std::to_string(percent), xq,
      percent);
}

XResult
XQueueSetWeight(XQueueHandle xq, int32_t weight)
{
  return Forward(
      "XQueueSetWeight", "XQueueSetWeight " + std::to_string(weight), xq,
      weight);
}

XResult
XQueueDestroy(XQueueHandle xq)
{
  return Forward("XQueueDestroy", "XQueueDestroy", xq);
}

XResult
HwQueueDestroy(HwQueueHandle hwq)
{
  return Forward("HwQueueDestroy", "HwQueueDestroy", hwq);
}

}  // extern "C"
