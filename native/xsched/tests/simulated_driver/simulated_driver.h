// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A driver without a device, for tests: machine.h says what it models. These
// functions control it; the driver's own are in functions.cc.

#ifndef XSCHED_TESTS_SIMULATED_DRIVER_H_
#define XSCHED_TESTS_SIMULATED_DRIVER_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "cuda/abi.h"

namespace simulated {

#define SIMULATED_EXPORT __attribute__((visibility("default")))

constexpr int kDevices = 2;

// A kernel that takes 'microseconds'; 'id' tells it from others that do.
inline xsched::CUfunction
Kernel(uint64_t microseconds, uint64_t id = 1)
{
  return reinterpret_cast<xsched::CUfunction>((id << 32) | microseconds);
}

// One that NCCL would launch, by its name.
constexpr uint64_t kCollective = 4096;
inline xsched::CUfunction
Collective(uint64_t microseconds)
{
  return Kernel(microseconds, kCollective);
}

// One kernel that ran: the stream, and when it was given to the driver and
// when it began, by the monotonic clock. Default streams appear under handles
// of their own.
struct Execution {
  xsched::CUstream stream;
  xsched::CUfunction function;
  int64_t submitted_ns;
  int64_t began_ns;
  // Its parameter, if it was given one.
  uint64_t parameter;
};

// In the order in which they ran.
SIMULATED_EXPORT std::vector<Execution> TakeRuns();
// Every call fails with 'error' from now on; 0 ends that.
SIMULATED_EXPORT void SetError(xsched::CUresult error);
// The next 'count' launches fail with 'error'.
SIMULATED_EXPORT void FailLaunches(int count, xsched::CUresult error);
// Kernels neither begin nor end while the device is held.
SIMULATED_EXPORT void Hold(bool hold, int device = 0);
// The device is held as soon as 'kernel' has begun, once, so that it runs until
// Hold(false).
SIMULATED_EXPORT void HoldDuring(xsched::CUfunction kernel);
// Happens within the next call that records an event, once it is recorded.
SIMULATED_EXPORT void AtNextRecord(std::function<void()> what);
// How many events exist.
SIMULATED_EXPORT int LiveEvents();
// Questions to streams that broke a capture.
SIMULATED_EXPORT int BrokenCaptures();
// Uses of streams, events and contexts that are no more: a real driver may
// crash.
SIMULATED_EXPORT int StaleUses();

// cuGetProcAddress gives a function that it does not export for the first
// version, and one that no table knows for the second.
constexpr int kUnexportedVersion = 98000;
constexpr int kUnknownVersion = 99000;

}  // namespace simulated

#endif  // XSCHED_TESTS_SIMULATED_DRIVER_H_
