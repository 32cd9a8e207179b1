// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_COMMAND_BUFFER_H_
#define XSCHED_PREEMPT_COMMAND_BUFFER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "preempt/export.h"

namespace xsched {

// Calls of one queue that its threads believe to have been made: they would have
// had to wait at the gate. A thread of its own makes them, in their order, and
// waits instead. It ends when there has been nothing to do for a while, and
// begins again with the next call.
//
// A position counts the calls of a buffer, from 1. All that a thread does after
// a call that was kept, and that could tell whether the call has been made,
// must be preceded by an Await of its position.
//
// What is kept is bounded: so many calls, each with the parameters of a kernel.
// Nothing waits, and no call is made, with the lock held.
class XSCHED_INTERNAL CommandBuffer {
 public:
  // Streams that wait for each other on the device although nobody says so: the
  // legacy one of a context, and the blocking ones with it.
  enum class Stream : uint8_t { kNonBlocking, kBlocking, kLegacy };
  static constexpr int kStreams = 3;

  // One call.
  struct Command {
    static constexpr size_t kSize = 160;
    // Makes it; returns the driver's result.
    int (*run)(Command* self) = nullptr;
    // What 'run' needs; bytes that may be copied.
    alignas(8) unsigned char object[kSize];
    // What that points to.
    std::vector<unsigned char> memory;
    Stream stream = Stream::kNonBlocking;
  };

  // What a buffer has done; for people.
  struct Counters {
    uint64_t kept = 0;
    uint64_t most = 0;  // that there have been at a time
    uint64_t failed = 0;
    uint64_t full = 0;       // calls that found no room
    int64_t full_ns = 0;     // and how long they waited for some
    uint64_t awaited = 0;    // times that something waited for what is kept
    int64_t awaited_ns = 0;  // and how long

    void Add(const Counters& others);
  };

  explicit CommandBuffer(size_t capacity);
  CommandBuffer(const CommandBuffer&) = delete;
  CommandBuffer& operator=(const CommandBuffer&) = delete;

  // Whether any buffer of the process has anything that such a stream waits for.
  static bool AnyPending()
  {
    // Acquire: what the calls have done comes before. A thread sees its own.
    return all_pending_.load(std::memory_order_acquire) != 0;
  }
  static bool AnyPending(Stream kind)
  {
    return all_of_[static_cast<size_t>(kind)].load(std::memory_order_acquire) !=
           0;
  }
  // All that there are; they are never destroyed.
  template <typename Visit>
  static void ForEach(const Visit& visit)
  {
    for (CommandBuffer* buffer = first_.load(std::memory_order_acquire);
         buffer != nullptr; buffer = buffer->next_) {
      visit(buffer);
    }
  }

  // One to be filled and pushed.
  std::unique_ptr<Command> Make();
  // Waits for room if there is none. Returns the position; 0 if there is no
  // thread to make the call, or no memory: it is not kept then. A thread that is cancelled
  // does not return; its call is given up.
  uint64_t Push(std::unique_ptr<Command> command);

  bool Pending() const { return Done() != Pushed(); }
  bool Pending(Stream kind) const
  {
    return of_[static_cast<size_t>(kind)].load(std::memory_order_acquire) != 0;
  }
  uint64_t Pushed() const { return pushed_.load(std::memory_order_acquire); }
  uint64_t Done() const { return done_.load(std::memory_order_acquire); }
  // Until the calls up to that position have been made. Returns for how many
  // nanoseconds it has waited; 0 if it need not. May be cancelled.
  int64_t Await(uint64_t position);

  // The first error of a call since this was last asked; 0 if there was none.
  int TakeError()
  {
    return error_.load(std::memory_order_relaxed) == 0
               ? 0
               : error_.exchange(0, std::memory_order_relaxed);
  }
  // Since the last BeginLife, and of all times.
  Counters Count() const;
  Counters CountAll() const;
  // Its queue begins another life, and nothing is kept: what the former one has
  // left is none of its business.
  void BeginLife();

 private:
  void SleepUntilMade(uint64_t position);
  void Run();
  // The next call, which stays where it is; null if the thread is to end.
  Command* Next();
  void Made(int result);

  // Of all buffers.
  static std::atomic<CommandBuffer*> first_;
  static std::atomic<uint64_t> all_pending_;
  static std::array<std::atomic<uint64_t>, kStreams> all_of_;

  CommandBuffer* next_ = nullptr;
  const size_t capacity_;
  std::array<std::atomic<uint64_t>, kStreams> of_ = {};
  std::atomic<uint64_t> pushed_{0};
  std::atomic<uint64_t> done_{0};
  std::atomic<int> error_{0};
  // 1 while the thread sleeps, which waits on it. Written with the lock held.
  std::atomic<uint32_t> asleep_{0};
  // Counts up: what those who await a position sleep on.
  std::atomic<uint32_t> wakes_{0};

  // Guards all that follows.
  mutable std::mutex mutex_;
  bool running_ = false;
  std::deque<std::unique_ptr<Command>> commands_;
  std::vector<std::unique_ptr<Command>> free_;
  // The least position that is awaited.
  uint64_t wake_at_ = UINT64_MAX;
  Counters counters_;
  Counters former_;  // of earlier lives
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_COMMAND_BUFFER_H_
