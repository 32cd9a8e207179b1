// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The behaviours in handles.def: what was measured of a launch ends with what
// its handle stands for.

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
  Scheduler::Get().ForgetDuration(Grid(graph));
  return call();
}

// The driver gives the handles of a module's functions to those of others. Which
// functions are the module's is not known here.
template <typename Call>
CUresult
Unload(const Call& call)
{
  Scheduler::Get().ForgetDurations();
  return call();
}

}  // namespace xsched

#endif  // XSCHED_SHIM_HANDLES_H_
