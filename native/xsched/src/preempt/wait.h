// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_WAIT_H_
#define XSCHED_PREEMPT_WAIT_H_

#include <atomic>
#include <cstdint>

namespace xsched {

// How threads wait here. The kernel may end a sleep up to the thread's timer
// slack late, 50 us by default, in which a device runs dry; these lower the
// slack for as long as they sleep. A sleep then ends about 7 us late, and later
// on a virtual processor (Lateness).

// A thread that sleeps until it is woken wakes up this often to see whether it
// is cancelled.
constexpr int64_t kCancelLookNs = 200000000;

// One step of a spin.
inline void
SpinPause()
{
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void SleepNs(int64_t nanoseconds);

// Sleeps while 'word' holds 'expected', at most 'timeout_ns'. May return
// early.
void FutexWait(
    std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns);
void FutexWakeOne(std::atomic<uint32_t>* word);
void FutexWakeAll(std::atomic<uint32_t>* word);

}  // namespace xsched

#endif  // XSCHED_PREEMPT_WAIT_H_
