// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/stream_ends.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "preempt/thread_work.h"

namespace xsched {

std::vector<StreamEnds::End>::iterator
StreamEnds::Find(uint64_t stream, uint64_t thread)
{
  return std::find_if(ends_.begin(), ends_.end(), [=](const End& end) {
    return end.stream == stream && end.thread == thread;
  });
}

void
StreamEnds::SetCount()
{
  count_.store(ends_.size(), std::memory_order_relaxed);
}

void
StreamEnds::Record(EventPool* pool, uint64_t stream)
{
  const uint64_t thread = ThreadId();
  void* event = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto end = Find(stream, thread);
    if (end == ends_.end()) {
      ends_.push_back({stream, thread, pool, nullptr});
      SetCount();
    } else {
      event = std::exchange(end->event, nullptr);
    }
  }
  if (event == nullptr) {
    event = pool->Take(EventKind::kPlain);
  }
  const bool recorded = event != nullptr && pool->Record(event, stream);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto end = Find(stream, thread);
    if (recorded && end != ends_.end()) {
      end->event = event;
      return;
    }
    // Nothing is known of this stream's end, whatever other threads recorded.
    ends_.erase(
        std::remove_if(
            ends_.begin(), ends_.end(),
            [&](const End& each) {
              if (each.stream == stream && each.event != nullptr) {
                each.pool->Give(EventKind::kPlain, each.event);
              }
              return each.stream == stream;
            }),
        ends_.end());
    SetCount();
  }
  if (event != nullptr) {
    pool->Give(EventKind::kPlain, event);
  }
}

template <typename Includes>
bool
StreamEnds::AllReached(const Includes& includes, bool if_none) const
{
  std::vector<End> ends;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    std::copy_if(
        ends_.begin(), ends_.end(), std::back_inserter(ends), includes);
  }
  return ends.empty()
             ? if_none
             : std::all_of(ends.begin(), ends.end(), [](const End& end) {
                 return end.event != nullptr &&
                        end.pool->Query(end.event) != Progress::kBusy;
               });
}

bool
StreamEnds::Reached() const
{
  return AllReached([](const End&) { return true; }, true);
}

bool
StreamEnds::Reached(uint64_t stream) const
{
  return AllReached(
      [stream](const End& end) { return end.stream == stream; }, false);
}

void
StreamEnds::Clear()
{
  std::lock_guard<std::mutex> lock(mutex_);
  for (const End& end : ends_) {
    if (end.event != nullptr) {
      end.pool->Give(EventKind::kPlain, end.event);
    }
  }
  ends_.clear();
  SetCount();
}

}  // namespace xsched
