// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/readiness.h"

#include <algorithm>
#include <iterator>

#include "preempt/clock.h"
#include "preempt/device.h"
#include "preempt/inquiries.h"
#include "preempt/registry.h"

namespace xsched {
namespace {

// A queue whose work has finished while its owner is still launching is not
// idle. Nothing must have been launched for this long before a look at the
// device is believed; longer where the application synchronises by itself.
constexpr int64_t kQuietNs = 50000;
constexpr int64_t kLazyQuietNs = 500000;

}  // namespace

bool
Readiness::AddForeign(Queue* queue, uint64_t stream)
{
  if (stream == kPerThreadStream) {
    return false;
  }
  for (const auto& foreign : queue->foreign) {
    if (foreign.load(std::memory_order_relaxed) == stream) {
      return true;
    }
  }
  Registry::NoteForeign(*queue);
  for (auto& foreign : queue->foreign) {
    uint64_t known = foreign.load(std::memory_order_relaxed);
    if (known == stream ||
        (known == 0 && foreign.compare_exchange_strong(
                           known, stream, std::memory_order_relaxed)) ||
        known == stream) {
      return true;
    }
  }
  queue->foreign_overflow.store(true, std::memory_order_relaxed);
  return false;
}

void
Readiness::RecordEnd(Queue* queue, uint64_t stream)
{
  Context* const home = queue->Home();
  const CallScope calls(home->GetHardware());
  queue->ends.Record(home->Events(), stream);
}

bool
Readiness::HasForeign(const Queue& queue, uint64_t stream)
{
  return std::any_of(
      std::begin(queue.foreign), std::end(queue.foreign),
      [stream](const std::atomic<uint64_t>& foreign) {
        return foreign.load(std::memory_order_relaxed) == stream;
      });
}

void
Readiness::Finished(Queue* queue, uint64_t launched, uint64_t stream)
{
  if (Drained(queue, launched, stream)) {
    queue->app_synchronizes.store(true, std::memory_order_relaxed);
  }
}

bool
Readiness::Drained(Queue* queue, uint64_t launched, uint64_t stream)
{
  return queue->ready.load(std::memory_order_relaxed) &&
         queue->submitted.load(std::memory_order_relaxed) -
                 queue->waiting.load(std::memory_order_relaxed) ==
             launched &&
         ForeignDone(*queue, stream) &&
         queue->Home()->GetDevice()->MarkIdle(queue, launched, NowNs());
}

void
Readiness::Look(Queue* queue)
{
  Looks& looks = queue->looks;
  if (!queue->ready.load(std::memory_order_relaxed) ||
      looks.looking.exchange(true, std::memory_order_acquire)) {
    return;
  }
  const int64_t now_ns = NowNs();
  const uint64_t launched = Launched(*queue);
  const int64_t quiet_ns =
      queue->app_synchronizes.load(std::memory_order_relaxed) ? kLazyQuietNs
                                                              : kQuietNs;
  if (looks.launches != launched) {
    looks.launches = launched;
    looks.since_ns = now_ns;
    // Something came since the last look, at some time.
    looks.busy_ns = looks.looked_ns;
  } else if (now_ns - looks.since_ns >= quiet_ns) {
    const CallScope calls(queue->Home()->GetHardware());
    const Progress progress = AskOwn(*queue);
    // A device that fails will never finish: nobody may wait for it.
    if (progress == Progress::kFailed ||
        (progress == Progress::kDone && ForeignDone(*queue))) {
      // It ended at some time since it was known to have work. A thread that
      // slept for as long as the queue usually takes must not take that to be
      // how long it took, nor the watcher the time between two of its looks.
      queue->Home()->GetDevice()->MarkIdle(queue, launched, looks.busy_ns);
    } else {
      looks.since_ns = now_ns - quiet_ns + kQuietNs;
      looks.busy_ns = now_ns;
    }
  }
  looks.looked_ns = now_ns;
  looks.looking.store(false, std::memory_order_release);
}

template <typename Exists>
Progress
Readiness::Ask(const Queue& queue, uint64_t stream, const Exists& exists)
{
  const Context* const home = queue.Home();
  {
    const Inquiry inquiry(stream, home->Handle());
    if (inquiry.Allowed()) {
      return exists() ? home->GetHardware()->QueryStream(stream, home->Handle())
                      : Progress::kDone;
    }
  }
  home->GetHardware()->Refused(stream);
  return Progress::kUnasked;
}

Progress
Readiness::AskOwn(const Queue& queue)
{
  const uint64_t stream = queue.stream.load(std::memory_order_relaxed);
  if (stream == 0 || IsVirtualStream(stream)) {
    return Progress::kDone;
  }
  const Progress progress = Ask(queue, stream, [&] {
    return queue.stream.load(std::memory_order_seq_cst) == stream;
  });
  // What it had before it was captured. What is captured is not work.
  if (progress != Progress::kUnasked) {
    return progress;
  }
  const ContextInquiry inquiry(queue.Home()->Handle());
  return inquiry.Allowed() && queue.ends.Reached(stream) ? Progress::kDone
                                                         : Progress::kBusy;
}

bool
Readiness::ForeignDone(const Queue& queue, uint64_t known)
{
  const auto is_there = [](const std::atomic<uint64_t>& foreign) {
    return foreign.load(std::memory_order_relaxed) != 0;
  };
  if (queue.ends.Empty() &&
      std::none_of(
          std::begin(queue.foreign), std::end(queue.foreign), is_there)) {
    return true;
  }
  // Also on a thread of the application's, while another one captures.
  const CallScope calls(queue.Home()->GetHardware());
  for (const auto& foreign : queue.foreign) {
    const uint64_t stream = foreign.load(std::memory_order_relaxed);
    if (stream == 0 || stream == known) {
      continue;
    }
    const Progress progress = Ask(queue, stream, [&] {
      return foreign.load(std::memory_order_seq_cst) == stream;
    });
    if (progress == Progress::kBusy) {
      return false;
    }
    if (progress == Progress::kUnasked) {
      // What it had before the capture that keeps it from being asked.
      const ContextInquiry inquiry(queue.Home()->Handle());
      if (!inquiry.Allowed() || !queue.ends.Reached(stream)) {
        return false;
      }
    }
  }
  const ContextInquiry inquiry(queue.Home()->Handle());
  return inquiry.Allowed() && queue.ends.Reached();
}

}  // namespace xsched
