// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_CLOCK_H_
#define XSCHED_PREEMPT_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace xsched {

// Nanoseconds of the monotonic clock.
inline int64_t
NowNs()
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

}  // namespace xsched

#endif  // XSCHED_PREEMPT_CLOCK_H_
