// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/watcher.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>

#include "preempt/clock.h"
#include "preempt/device.h"
#include "preempt/log.h"
#include "preempt/own_thread.h"
#include "preempt/readiness.h"
#include "preempt/scheduler.h"
#include "preempt/wait.h"

namespace xsched {
namespace {

// As good as for ever; a missed poke would show.
constexpr int64_t kRestNs = INT64_C(3600) * 1000000000;
// How long the exit of the process waits for a call of the driver.
constexpr int64_t kStopPauseNs = 1000000;
constexpr int kStopTries = 500;

}  // namespace

std::atomic<bool> Watcher::stopped_{false};
std::atomic<int> Watcher::calling_{0};

void
Watcher::StopAll()
{
  stopped_.store(true, std::memory_order_seq_cst);
  Scheduler::GoUnwatched();
  // One that is in a call which hangs is not waited for.
  for (int i = 0; i < kStopTries && calling_.load() != 0; ++i) {
    SleepNs(kStopPauseNs);
  }
}

void
Watcher::Poke()
{
  pokes_.fetch_add(1, std::memory_order_seq_cst);
  if (!started_.load(std::memory_order_acquire) &&
      !started_.exchange(true, std::memory_order_acq_rel)) {
    Start();
    return;
  }
  FutexWakeOne(&pokes_);
}

void
Watcher::Start()
{
  pthread_t thread = {};
  if (!StartOwnThread<&Watcher::Run>("xsched-watcher", this, &thread)) {
    started_.store(false, std::memory_order_release);
    Log(LogLevel::kError,
        "no thread to watch a device with: queues that the application does "
        "not synchronise stay ready until the next attempt");
    return;
  }
  pthread_detach(thread);
  // After the driver has registered its own end, which thus comes later.
  static const int registered = atexit(&Watcher::StopAll);
  (void)registered;
}

int64_t
Watcher::Look()
{
  queues_.clear();
  const int64_t next_ns = device_->CollectLooks(NowNs(), &queues_);
  // Sequentially consistent: either this sees that the process exits, or it is
  // waited for.
  calling_.fetch_add(1, std::memory_order_seq_cst);
  if (!stopped_.load(std::memory_order_seq_cst)) {
    for (Queue* queue : queues_) {
      Readiness::Look(queue);
    }
  }
  calling_.fetch_sub(1, std::memory_order_release);
  return next_ns;
}

void
Watcher::Run()
{
  RunWhereTheProcessMay();
  while (!stopped_.load(std::memory_order_relaxed)) {
    // Before it looks: what changes after that has poked.
    const uint32_t pokes = pokes_.load(std::memory_order_seq_cst);
    const int64_t next_ns = Look();
    const int64_t rest_ns = next_ns == INT64_MAX ? kRestNs : next_ns - NowNs();
    if (rest_ns > 0) {
      FutexWait(&pokes_, pokes, std::min(rest_ns, kRestNs));
    }
  }
}

}  // namespace xsched
