// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A driver without a device, for tests: it keeps streams, events and captures
// as CUDA does, and "runs" one kernel after the other in real time, taking
// the stream of the highest priority that has one, the oldest first. These
// functions control it; the driver's own are in cuda/abi.h's terms.

#ifndef XSCHED_TESTS_SIMULATED_DRIVER_H_
#define XSCHED_TESTS_SIMULATED_DRIVER_H_

#include <cstdint>
#include <vector>

#include "cuda/abi.h"

namespace simulated {

#define SIMULATED_EXPORT __attribute__((visibility("default")))

// A kernel that takes 'microseconds'; 'id' tells it from others that do.
inline CUfunction
Kernel(uint64_t microseconds, uint64_t id = 1)
{
  return reinterpret_cast<CUfunction>((id << 32) | microseconds);
}

// One kernel that ran: the stream, and when it was given to the driver and
// when it began, in the driver's own order of events.
struct Execution {
  CUstream stream;
  CUfunction function;
  uint64_t submitted;
  uint64_t began;
};

SIMULATED_EXPORT std::vector<Execution> TakeRuns();
// Every call fails with 'error' from now on; 0 ends that.
SIMULATED_EXPORT void SetError(CUresult error);
// The next 'count' launches fail with 'error'.
SIMULATED_EXPORT void FailLaunches(int count, CUresult error);
// Kernels neither begin nor end while the device is held.
SIMULATED_EXPORT void Hold(bool hold);
// How many events exist.
SIMULATED_EXPORT int LiveEvents();
// Queries of streams under capture: each would have broken it.
SIMULATED_EXPORT int BrokenCaptures();

}  // namespace simulated

#endif  // XSCHED_TESTS_SIMULATED_DRIVER_H_
