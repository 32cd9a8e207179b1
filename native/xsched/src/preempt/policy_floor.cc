// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>
#include <vector>

#include "preempt/clock.h"
#include "preempt/policy.h"

namespace xsched {
namespace {

// The most that a queue can owe: a kernel that takes far
// longer than a slice must not keep its queue from the device for ever.
constexpr int64_t kMostDebtNs = 10000000;  // for each percent of the floor

// Floors on top of another policy. A queue that has one contends while it is
// ready and the other policy would not let it launch. All state is here, under
// the device's lock as everything that a policy is told; what launches look at
// (Queue::in_slice, Turn) the device writes after each decision.
//
// While a queue contends, it is owed its percentage of the time that passes.
//
//   owed a slice --it is owed most--> has the slice --held it for as long,
//        ^                                  |          or has no more work
//        '------------ is owed less <-------'
//
// A slice is the queue's alone, and so is charged by the time that it lasts,
// though it begins with what others still have in flight: when it ends, the
// queue has as much there. That pays for device time that becomes known in it
// or later; what goes beyond, as of a long kernel, is charged then. Between
// slices others launch as the other policy says, but all of them under the
// limit in flight, so that the next slice begins within it.
//
// What a queue is owed survives when it turns idle, so that many short requests
// count as one long one. Time that it has because nobody else wants it is not
// charged: it would lack it later.
class FloorPolicy final : public Policy {
 public:
  FloorPolicy(std::unique_ptr<Policy> inner, int64_t slice_ns)
      : inner_(std::move(inner)), slice_ns_(slice_ns)
  {
  }

  const char* Name() const override { return inner_->Name(); }

  void Added(const Standing& queue) override
  {
    Account();
    inner_->Added(queue);
    Set(queue);
  }

  void Removed(const Standing& queue) override
  {
    Account();
    inner_->Removed(queue);
    Forget(queue.queue);
  }

  void Changed(const Standing& before, const Standing& after) override
  {
    Account();
    inner_->Changed(before, after);
    if (after.floor == 0) {
      Forget(after.queue);
    } else {
      Set(after);
    }
  }

  void Used(const Standing& queue, int64_t device_ns) override
  {
    inner_->Used(queue, device_ns);
    if (floors_.empty()) {
      return;
    }
    Account();
    // Of one that is idle, it is the time that it was ready.
    const auto floor = Find(queue.queue);
    if (floor == floors_.end() || !queue.ready) {
      return;
    }
    if (Contends(*floor)) {
      const int64_t paid_ns = std::min(floor->paid_ns, device_ns);
      floor->paid_ns -= paid_ns;
      Owe(&*floor, paid_ns - device_ns);
    }
  }

  Decision Decide() override
  {
    if (floors_.empty()) {
      return inner_->Decide();
    }
    Account();
    if (slice_ != nullptr &&
        (!Contends(*Find(slice_)) || slice_held_ns_ >= slice_ns_)) {
      slice_ = nullptr;
    }
    Decision decision = inner_->Decide();
    const Floor* next = nullptr;
    for (const Floor& floor : floors_) {
      if (Contends(floor)) {
        decision.all_bounded = true;
        if (floor.owed_ns >= slice_ns_ &&
            (next == nullptr || floor.owed_ns > next->owed_ns)) {
          next = &floor;
        }
      }
    }
    if (slice_ == nullptr && next != nullptr) {
      slice_ = next->queue.queue;
      slice_held_ns_ = 0;
    }
    decision.slice = slice_;
    return decision;
  }

  int64_t ChangesAtNs() const override
  {
    if (slice_ != nullptr) {
      return accounted_ns_ + std::max<int64_t>(slice_ns_ - slice_held_ns_, 0);
    }
    int64_t at_ns = INT64_MAX;
    for (const Floor& floor : floors_) {
      if (Contends(floor)) {
        const int64_t lacks_ns =
            std::max<int64_t>(slice_ns_ - floor.owed_ns, 0);
        at_ns = std::min(
            at_ns, accounted_ns_ + lacks_ns * 100 / floor.queue.floor + 1);
      }
    }
    return at_ns;
  }

  // A slice keeps everybody else from launching.
  int Blockers(Priority priority) const override
  {
    return inner_->Blockers(priority) + (slice_ != nullptr ? 1 : 0);
  }

 private:
  struct Floor {
    Standing queue;
    int64_t owed_ns = 0;
    // Of that, hundredths of a nanosecond.
    int64_t rest = 0;
    // Time of slices that no known device time has been set against, of one
    // slice at most: what a queue left unused it does not get for nothing.
    int64_t paid_ns = 0;
  };

  std::vector<Floor>::iterator Find(const void* queue)
  {
    return std::find_if(floors_.begin(), floors_.end(), [&](const Floor& each) {
      return each.queue.queue == queue;
    });
  }

  bool Contends(const Floor& floor) const
  {
    return floor.queue.ready &&
           floor.queue.priority < inner_->Decide().open_from;
  }

  void Set(const Standing& queue)
  {
    if (queue.floor == 0) {
      return;
    }
    if (floors_.empty()) {
      accounted_ns_ = NowNs();
    }
    const auto floor = Find(queue.queue);
    if (floor == floors_.end()) {
      floors_.push_back({queue});
    } else {
      floor->queue = queue;
    }
  }

  void Forget(const void* queue)
  {
    if (slice_ == queue) {
      slice_ = nullptr;
    }
    const auto floor = Find(queue);
    if (floor != floors_.end()) {
      floors_.erase(floor);
    }
  }

  void Owe(Floor* floor, int64_t ns) const
  {
    floor->owed_ns = std::min(floor->owed_ns + ns, slice_ns_ + slice_ns_);
    floor->owed_ns =
        std::max(floor->owed_ns, -kMostDebtNs * floor->queue.floor);
  }

  // The time since the last change, in which all was as it is.
  void Account()
  {
    if (floors_.empty()) {
      return;
    }
    const int64_t now_ns = NowNs();
    const int64_t passed_ns = now_ns - accounted_ns_;
    accounted_ns_ = now_ns;
    for (Floor& floor : floors_) {
      int64_t owed_ns = 0;
      if (Contends(floor)) {
        const int64_t percents = passed_ns * floor.queue.floor + floor.rest;
        owed_ns = percents / 100;
        floor.rest = percents % 100;
      }
      if (slice_ == floor.queue.queue) {
        slice_held_ns_ += passed_ns;
        owed_ns -= passed_ns;
        floor.paid_ns = std::min(floor.paid_ns + passed_ns, slice_ns_);
      }
      Owe(&floor, owed_ns);
    }
  }

  const std::unique_ptr<Policy> inner_;
  const int64_t slice_ns_;
  std::vector<Floor> floors_;
  int64_t accounted_ns_ = 0;
  // Who has the slice, and for how long it has had it.
  const void* slice_ = nullptr;
  int64_t slice_held_ns_ = 0;
};

}  // namespace

std::unique_ptr<Policy>
WithFloors(std::unique_ptr<Policy> inner, int64_t slice_ns)
{
  return std::make_unique<FloorPolicy>(std::move(inner), slice_ns);
}

}  // namespace xsched
