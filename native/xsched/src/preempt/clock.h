// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_CLOCK_H_
#define XSCHED_PREEMPT_CLOCK_H_

#include <time.h>

#include <atomic>
#include <cstdint>

namespace xsched {

#if defined(XSCHED_TEST_CLOCK)

// A clock that only goes on when a test says so.
inline std::atomic<int64_t> test_clock_ns{1000000000};

inline int64_t
NowNs()
{
  return test_clock_ns.load(std::memory_order_relaxed);
}

#else

// Nanoseconds of the monotonic clock.
inline int64_t
NowNs()
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

#endif

}  // namespace xsched

#endif  // XSCHED_PREEMPT_CLOCK_H_
