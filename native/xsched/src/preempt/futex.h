// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_FUTEX_H_
#define XSCHED_PREEMPT_FUTEX_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace xsched {

static_assert(
    sizeof(std::atomic<uint32_t>) == sizeof(uint32_t),
    "the kernel reads the word itself");

// Sleeps while 'word' holds 'expected', at most 'timeout_ns'. May return early.
inline void
FutexWait(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns)
{
  struct timespec timeout;
  timeout.tv_sec = timeout_ns / 1000000000;
  timeout.tv_nsec = timeout_ns % 1000000000;
  syscall(
      SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, nullptr, 0);
}

inline void
FutexWakeAll(std::atomic<uint32_t>* word)
{
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace xsched

#endif  // XSCHED_PREEMPT_FUTEX_H_
