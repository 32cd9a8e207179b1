// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_TEST_ACCESS_H_
#define XSCHED_TESTS_TEST_ACCESS_H_

#include <mutex>

#include "preempt/device.h"
#include "preempt/queue.h"

namespace xsched {

// What tests see and set of what a queue's device keeps to itself.
struct TestAccess {
  static int64_t UsualReadyNs(const Queue& queue)
  {
    const std::lock_guard<std::mutex> lock(MutexOf(queue));
    return queue.seat.usual_ready_ns;
  }

  static void SetUsualReadyNs(Queue* queue, int64_t ns)
  {
    const std::lock_guard<std::mutex> lock(MutexOf(*queue));
    queue->seat.usual_ready_ns = ns;
  }

  // As if so much time had passed since everything that has happened.
  static void Age(Queue* queue, int64_t ns)
  {
    const std::lock_guard<std::mutex> lock(MutexOf(*queue));
    queue->seat.ready_since_ns -= ns;
    queue->looks.since_ns -= ns;
    queue->looks.looked_ns -= ns;
    queue->looks.busy_ns -= ns;
  }

  // How often the device's watcher was told that there is something to see.
  static uint32_t Pokes(const Device& device)
  {
    return device.watcher_.pokes_.load();
  }

 private:
  static std::mutex& MutexOf(const Queue& queue)
  {
    return queue.Home()->GetDevice()->mutex_;
  }
};

}  // namespace xsched

#endif  // XSCHED_TESTS_TEST_ACCESS_H_
