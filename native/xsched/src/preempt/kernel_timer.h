// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_KERNEL_TIMER_H_
#define XSCHED_PREEMPT_KERNEL_TIMER_H_

#include <atomic>
#include <cstdint>

#include "preempt/durations.h"
#include "preempt/event_pool.h"

namespace xsched {

// Times one launch of a queue now and then. An event with timing costs the
// device more than a microsecond and one without nothing (H100, driver 580), so
// only samples are timed. The first ones also measure that cost, which is no
// part of a kernel's time.
//
// Protocol: Begin; if it was true, the driver's launch, then End. Read later,
// from any thread, takes the time in once it is known. Each calls the driver.
class KernelTimer {
 public:
  // What it looks at of its queue: the launches that were asked for, and those
  // that have returned from the driver.
  struct Counts {
    const std::atomic<uint64_t>* submitted;
    const std::atomic<uint64_t>* launched;
  };

  // What is timed, and where it goes.
  struct Sample {
    EventPool* pool;
    Durations* durations;
    LaunchKey key;
    // How often the gate has closed, and how often it had before it was seen
    // open for this launch.
    const std::atomic<uint64_t>* closures;
    uint64_t closures_before;
  };

  explicit KernelTimer(const Counts& counts) : counts_(counts) {}

  // False if another sample is under way.
  bool Begin(const Sample& sample, uint64_t stream);
  void End(uint64_t stream, bool launched);
  // A sample during which the gate closed says nothing: the kernel shared the
  // device with those of another queue.
  void Read();
  // Gives a sample up that has not been read.
  void Cancel();

 private:
  enum State : int { kIdle, kBusy, kPending };

  bool Enter(State from);
  void Reset();

  // A thread that takes the state to kBusy owns what is below until it sets
  // another one (acquire and release).
  const Counts counts_;
  std::atomic<int> state_{kIdle};
  Sample sample_ = {};
  uint64_t forgotten_ = 0;
  uint64_t submitted_ = 0;
  // The device came to the start when all of the sample was there, and no
  // other thread launched in between.
  bool exact_ = false;
  // Between the start and the kernel the device may have had to wait for this
  // thread to launch it, no longer than the launch took. 0 if it did not.
  int64_t launch_ns_ = 0;
  void* start_ = nullptr;
  void* end_ = nullptr;
  // Right after the end, to measure what an event costs; null otherwise.
  void* after_ = nullptr;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_KERNEL_TIMER_H_
