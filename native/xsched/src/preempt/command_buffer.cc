// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/command_buffer.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "preempt/clock.h"
#include "preempt/log.h"
#include "preempt/own_thread.h"
#include "preempt/wait.h"

namespace xsched {
namespace {

// How long the thread has nothing to do before it ends.
constexpr int64_t kThreadLingerNs = 1000000000;
// Whoever found no room goes on when there is this part of it, so that it is not
// woken for every call.
constexpr size_t kRoomPart = 8;
// Memory of a command that was used is kept for the next one if it is not more.
constexpr size_t kKeptMemory = 8 << 10;

}  // namespace

std::atomic<CommandBuffer*> CommandBuffer::first_{nullptr};
std::atomic<uint64_t> CommandBuffer::all_pending_{0};
std::array<std::atomic<uint64_t>, CommandBuffer::kStreams>
    CommandBuffer::all_of_ = {};

void
CommandBuffer::Counters::Add(const Counters& others)
{
  kept += others.kept;
  most = std::max(most, others.most);
  failed += others.failed;
  full += others.full;
  full_ns += others.full_ns;
  awaited += others.awaited;
  awaited_ns += others.awaited_ns;
}

CommandBuffer::CommandBuffer(size_t capacity) : capacity_(capacity)
{
  // The thread that makes the calls must not run out of memory.
  free_.reserve(capacity);
  next_ = first_.load(std::memory_order_relaxed);
  // Release: it is complete before others find it.
  while (!first_.compare_exchange_weak(
      next_, this, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

std::unique_ptr<CommandBuffer::Command>
CommandBuffer::Make()
{
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Command> command = std::move(free_.back());
      free_.pop_back();
      return command;
    }
  }
  return std::make_unique<Command>();
}

uint64_t
CommandBuffer::Push(std::unique_ptr<Command> command)
{
  const auto kind = static_cast<size_t>(command->stream);
  int64_t began_ns = 0;
  for (;;) {
    uint64_t room_at = 0;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (commands_.size() < capacity_) {
        if (!running_) {
          pthread_t thread = {};
          if (!StartOwnThread<&CommandBuffer::Run>(
                  "xsched-ahead", this, &thread)) {
            return 0;
          }
          pthread_detach(thread);
          running_ = true;
        }
        try {
          commands_.push_back(std::move(command));
        } catch (const std::bad_alloc&) {
          return 0;
        }
        ++counters_.kept;
        counters_.most = std::max<uint64_t>(counters_.most, commands_.size());
        if (began_ns != 0) {
          counters_.full_ns += NowNs() - began_ns;
        }
        // Before the thread can have made the call.
        all_pending_.fetch_add(1, std::memory_order_relaxed);
        all_of_[kind].fetch_add(1, std::memory_order_relaxed);
        of_[kind].fetch_add(1, std::memory_order_relaxed);
        const uint64_t position =
            pushed_.fetch_add(1, std::memory_order_relaxed) + 1;
        const bool wake = asleep_.exchange(0, std::memory_order_relaxed) != 0;
        lock.unlock();
        if (wake) {
          FutexWakeOne(&asleep_);
        }
        return position;
      }
      room_at =
          Pushed() - capacity_ + std::max<size_t>(capacity_ / kRoomPart, 1);
      if (began_ns == 0) {
        ++counters_.full;
        began_ns = NowNs();
      }
    }
    SleepUntilMade(room_at);
  }
}

int64_t
CommandBuffer::Await(uint64_t position)
{
  if (Done() >= position) {
    return 0;
  }
  const int64_t began_ns = NowNs();
  SleepUntilMade(position);
  const int64_t waited_ns = std::max<int64_t>(NowNs() - began_ns, 1);
  std::lock_guard<std::mutex> lock(mutex_);
  ++counters_.awaited;
  counters_.awaited_ns += waited_ns;
  return waited_ns;
}

void
CommandBuffer::SleepUntilMade(uint64_t position)
{
  while (Done() < position) {
    // Before it looks: what is made after that changes it.
    const uint32_t wakes = wakes_.load(std::memory_order_seq_cst);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (Done() >= position) {
        return;
      }
      wake_at_ = std::min(wake_at_, position);
    }
    FutexWait(&wakes_, wakes, kCancelLookNs);
    pthread_testcancel();
  }
}

CommandBuffer::Counters
CommandBuffer::Count() const
{
  std::lock_guard<std::mutex> lock(mutex_);
  return counters_;
}

CommandBuffer::Counters
CommandBuffer::CountAll() const
{
  std::lock_guard<std::mutex> lock(mutex_);
  Counters all = former_;
  all.Add(counters_);
  return all;
}

void
CommandBuffer::BeginLife()
{
  TakeError();
  std::lock_guard<std::mutex> lock(mutex_);
  former_.Add(counters_);
  counters_ = {};
}

CommandBuffer::Command*
CommandBuffer::Next()
{
  const int64_t until_ns = NowNs() + kThreadLingerNs;
  for (;;) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!commands_.empty()) {
        asleep_.store(0, std::memory_order_relaxed);
        return commands_.front().get();
      }
      if (NowNs() >= until_ns) {
        asleep_.store(0, std::memory_order_relaxed);
        running_ = false;
        return nullptr;
      }
      asleep_.store(1, std::memory_order_relaxed);
    }
    FutexWait(&asleep_, 1, kThreadLingerNs);
  }
}

void
CommandBuffer::Made(int result)
{
  bool wake = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Command> command = std::move(commands_.front());
    commands_.pop_front();
    const auto kind = static_cast<size_t>(command->stream);
    if (command->memory.capacity() > kKeptMemory) {
      command->memory = {};
    }
    if (free_.size() < capacity_) {
      free_.push_back(std::move(command));  // which has room: see above
    }
    int none = 0;
    if (result != 0) {
      ++counters_.failed;
      error_.compare_exchange_strong(none, result, std::memory_order_relaxed);
    }
    // Release, and last: whoever sees it sees what the call has done.
    of_[kind].fetch_sub(1, std::memory_order_release);
    all_of_[kind].fetch_sub(1, std::memory_order_release);
    const uint64_t done = done_.fetch_add(1, std::memory_order_release) + 1;
    all_pending_.fetch_sub(1, std::memory_order_release);
    wake = done >= wake_at_;
    if (wake) {
      wake_at_ = UINT64_MAX;
    }
  }
  if (wake) {
    wakes_.fetch_add(1, std::memory_order_seq_cst);
    FutexWakeAll(&wakes_);
  }
}

void
CommandBuffer::Run()
{
  RunWhereTheProcessMay();
  while (Command* command = Next()) {
    Made(command->run(command));
  }
}

}  // namespace xsched
