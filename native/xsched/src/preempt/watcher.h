// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_WATCHER_H_
#define XSCHED_PREEMPT_WATCHER_H_

#include <atomic>
#include <cstdint>
#include <vector>

namespace xsched {

class Device;
struct Queue;
struct TestAccess;

// The thread that asks the driver for a device: which queues have nothing left
// to do. It looks closely at those that launches wait for, and now and then at
// all that are ready, so that what a person reads is true. It begins with the
// first work and rests while there is none.
class Watcher {
 public:
  explicit Watcher(Device* device) : device_(device) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // There is something to look at, sooner than it knows. Never with a lock
  // held.
  void Poke();
  // One round of looks. Returns when the next one is due.
  int64_t Look();

 private:
  friend struct TestAccess;

  void Start();
  void Run();
  // The process exits: the driver ends soon.
  static void StopAll();

  static std::atomic<bool> stopped_;
  // Watchers that are calling the driver.
  static std::atomic<int> calling_;

  Device* const device_;
  std::atomic<bool> started_{false};
  // Counts the pokes: the word that it sleeps on.
  std::atomic<uint32_t> pokes_{0};
  // Of the thread.
  std::vector<Queue*> queues_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_WATCHER_H_
