// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The behaviours in handles.def: what was measured of a launch ends with what
// its handle stands for, and what is kept of it is launched before.

#ifndef XSCHED_SHIM_HANDLES_H_
#define XSCHED_SHIM_HANDLES_H_

#include "preempt/scheduler.h"
#include "shim/work.h"

namespace xsched {

// A graph ends, or its nodes change: what was measured of it is of another one.
template <typename Call>
CUresult
ChangeGraph(const Call& call, CUgraphExec graph)
{
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
  }
  Scheduler::Get().ForgetDuration(Grid(graph));
  return call();
}

// The driver gives the handles of a module's functions to those of others. Which
// functions are the module's is not known here.
template <typename Call>
CUresult
Unload(const Call& call)
{
  if (RunAhead::On()) {
    RunAhead::Drain(call.Name());
    ForgetKernelParameters();
  }
  Collectives::ForgetNames();
  Scheduler::Get().ForgetDurations();
  return call();
}

// Libraries set an attribute before each launch of a kernel, and mostly to what
// it is.
template <typename Call, typename LazyValue>
CUresult
SetAttribute(
    const Call& call, int attribute, int value, const LazyValue& current)
{
  if (RunAhead::On() && CommandBuffer::AnyPending()) {
    const int before = current();
    // What is kept has been found to need no more.
    const bool is_more =
        attribute == kFunctionMaxDynamicSharedSize && value > before;
    if (value != before && !is_more) {
      RunAhead::Drain(call.Name());
    }
  }
  return call();
}

// What an attribute is now; -1 if it is not known.
inline int
AttributeOf(CUfunction function, int attribute)
{
  int value = -1;
  return real::cuFuncGetAttribute(&value, attribute, function) == kCudaSuccess
             ? value
             : -1;
}

inline int
AttributeOf(CUkernel kernel, CUdevice device, int attribute)
{
  int value = -1;
  return real::cuKernelGetAttribute(&value, attribute, kernel, device) ==
                 kCudaSuccess
             ? value
             : -1;
}

}  // namespace xsched

#endif  // XSCHED_SHIM_HANDLES_H_
