// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_READINESS_H_
#define XSCHED_PREEMPT_READINESS_H_

#include <cstdint>

#include "preempt/export.h"
#include "preempt/hardware.h"
#include "preempt/queue.h"

namespace xsched {

// How it comes to be known that a queue has work, and that it has none left.
// What is known stands in the queue's seat; these call the driver and read
// what launches write.
class XSCHED_INTERNAL Readiness {
 public:
  // A launch of the queue goes into this stream, too, which has no queue. False
  // if nobody will be able to ask that stream: RecordEnd must follow the launch,
  // before it counts as one.
  static bool AddForeign(Queue* queue, uint64_t stream);
  static void RecordEnd(Queue* queue, uint64_t stream);
  static bool HasForeign(const Queue& queue, uint64_t stream);

  // The number to pass to Finished or Drained if a synchronisation that begins
  // now succeeds.
  static uint64_t Launched(const Queue& queue)
  {
    // Acquire: work counted here was given to the driver before.
    return queue.launched.load(std::memory_order_acquire);
  }
  // The application has waited for the queue. 'stream' is one without a queue
  // of its own that it has waited for; 0 if it is another or none.
  static void Finished(Queue* queue, uint64_t launched, uint64_t stream);
  // The device is seen to have finished the queue's work, which says nothing
  // about whether the application waits for it by itself. False if there is
  // more of it.
  static bool Drained(Queue* queue, uint64_t launched, uint64_t stream = 0);

  // Asks the driver, unless another thread does, and if the queue has been
  // quiet for long enough to believe the answer.
  static void Look(Queue* queue);

 private:
  // Asks about a stream of the queue, as long as 'exists' says that the queue
  // still has it.
  template <typename Exists>
  static Progress Ask(
      const Queue& queue, uint64_t stream, const Exists& exists);
  static Progress AskOwn(const Queue& queue);
  // Whether nothing is left in streams without a queue, of which 'known' is
  // known to have finished.
  static bool ForeignDone(const Queue& queue, uint64_t known = 0);
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_READINESS_H_
