// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/wait.h"

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace xsched {
namespace {

static_assert(
    sizeof(std::atomic<uint32_t>) == sizeof(uint32_t),
    "the kernel reads the word itself");

constexpr unsigned long kSlackNs = 1;

// The slack is the application's: it gets back what it had.
class TimerSlackScope {
 public:
  TimerSlackScope() : before_(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0))
  {
    if (before_ > 0) {
      prctl(PR_SET_TIMERSLACK, kSlackNs, 0, 0, 0);
    }
  }
  ~TimerSlackScope()
  {
    if (before_ > 0) {
      prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(before_), 0, 0, 0);
    }
  }
  TimerSlackScope(const TimerSlackScope&) = delete;
  TimerSlackScope& operator=(const TimerSlackScope&) = delete;

 private:
  const int before_;
};

struct timespec
ToTimespec(int64_t nanoseconds)
{
  struct timespec time;
  time.tv_sec = nanoseconds / 1000000000;
  time.tv_nsec = nanoseconds % 1000000000;
  return time;
}

}  // namespace

void
SleepNs(int64_t nanoseconds)
{
  const struct timespec time = ToTimespec(nanoseconds);
  TimerSlackScope slack;
  nanosleep(&time, nullptr);
}

void
FutexWait(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns)
{
  const struct timespec timeout = ToTimespec(timeout_ns);
  TimerSlackScope slack;
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

}  // namespace xsched
