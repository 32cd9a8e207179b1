// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_STREAM_ENDS_H_
#define XSCHED_PREEMPT_STREAM_ENDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "preempt/event_pool.h"

namespace xsched {

// Where the work of a queue ends in streams that nobody can ask whether they
// are done: an event behind it, which anybody can ask. Such streams are the
// per-thread stream, which is another one in each thread; those that the queue
// has no place to remember (Queue::foreign); and one that is being captured.
//
// An event is recorded by a thread that gives work to the stream, before that
// work counts as launched. Each thread has an event of its own for a stream, so
// that it need not know in which order others record theirs.
class StreamEnds {
 public:
  // All that the calling thread has given to 'stream' is before this. Calls the
  // driver.
  void Record(EventPool* pool, uint64_t stream);
  // Whether the device has come to all of them. Calls the driver.
  bool Reached() const;
  // The same for one stream; false if no end is known there.
  bool Reached(uint64_t stream) const;
  // The work is done, or does not matter any more.
  void Clear();
  bool Empty() const
  {
    // Relaxed: whoever recorded one has counted its work after that.
    return count_.load(std::memory_order_relaxed) == 0;
  }

 private:
  struct End {
    uint64_t stream;
    uint64_t thread;
    EventPool* pool;
    void* event;  // null while it is being recorded
  };

  std::vector<End>::iterator Find(uint64_t stream, uint64_t thread);
  template <typename Includes>
  bool AllReached(const Includes& includes, bool if_none) const;
  void SetCount();

  std::atomic<size_t> count_{0};
  // Guards what follows. The driver is not called with it held.
  mutable std::mutex mutex_;
  std::vector<End> ends_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_STREAM_ENDS_H_
