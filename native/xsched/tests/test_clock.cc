// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Replaces time under the scheduler's own objects: wait.cc, the watcher, which
// wakes up by itself, and the clock, whose calls the linker redirects
// (--wrap=clock_gettime). Those of the standard library, as by std::chrono, stay
// what they are.

#include "test_clock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "preempt/wait.h"
#include "preempt/watcher.h"

namespace xsched {

std::atomic<int64_t> test_clock_ns{1000000000};
std::atomic<int64_t> test_tick_ns{0};
std::atomic<int64_t> test_late_ns{0};
std::atomic<int64_t> test_asleep_ns{0};
std::atomic<int64_t> least_futex_wait_ns{0};

void
SleepNs(int64_t nanoseconds)
{
  test_asleep_ns += nanoseconds;
  test_clock_ns += nanoseconds + test_late_ns;
}

void
FutexWait(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns)
{
  const int64_t longest_ns = std::max(timeout_ns, least_futex_wait_ns.load());
  const struct timespec timeout = {
      longest_ns / 1000000000, longest_ns % 1000000000};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, nullptr, 0);
}

void
FutexWakeOne(std::atomic<uint32_t>* word)
{
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void
FutexWakeAll(std::atomic<uint32_t>* word)
{
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// The test looks when it wants to.
void
Watcher::Poke()
{
  ++pokes_;
}

}  // namespace xsched

extern "C" {

int __real_clock_gettime(clockid_t, struct timespec*);

int
__wrap_clock_gettime(clockid_t clock, struct timespec* time)
{
  if (clock != CLOCK_MONOTONIC) {
    return __real_clock_gettime(clock, time);
  }
  const int64_t now_ns = xsched::test_clock_ns.fetch_add(
      xsched::test_tick_ns.load(std::memory_order_relaxed),
      std::memory_order_relaxed);
  time->tv_sec = now_ns / 1000000000;
  time->tv_nsec = now_ns % 1000000000;
  return 0;
}
}
