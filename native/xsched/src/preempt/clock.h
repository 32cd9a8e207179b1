// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_CLOCK_H_
#define XSCHED_PREEMPT_CLOCK_H_

#include <time.h>

#include <atomic>
#include <cstdint>

namespace xsched {

#if defined(XSCHED_TEST_CLOCK)

// A clock that goes on when a test says so, and, for what waits, by so much
// whenever it is asked.
inline std::atomic<int64_t> test_clock_ns{1000000000};
inline std::atomic<int64_t> test_tick_ns{0};

inline int64_t
NowNs()
{
  return test_clock_ns.fetch_add(
      test_tick_ns.load(std::memory_order_relaxed), std::memory_order_relaxed);
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
