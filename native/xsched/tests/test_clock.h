// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The monotonic clock of programs that are linked with test_clock.cc.

#ifndef XSCHED_TESTS_TEST_CLOCK_H_
#define XSCHED_TESTS_TEST_CLOCK_H_

#include <atomic>
#include <cstdint>

namespace xsched {

// It goes on when a test says so, when a thread sleeps, and, for what waits, by
// so much whenever it is asked.
extern std::atomic<int64_t> test_clock_ns;
extern std::atomic<int64_t> test_tick_ns;

// By how much a sleep ends late, and how long threads have meant to sleep.
extern std::atomic<int64_t> test_late_ns;
extern std::atomic<int64_t> test_asleep_ns;

// How long who is to be woken waits for that, in real time, before it looks by
// itself, if the scheduler would wait for less.
extern std::atomic<int64_t> least_futex_wait_ns;

}  // namespace xsched

#endif  // XSCHED_TESTS_TEST_CLOCK_H_
