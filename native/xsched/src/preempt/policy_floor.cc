// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "preempt/clock.h"
#include "preempt/policy.h"
#include "preempt/priority_counts.h"

namespace xsched {
namespace {

// The most that can be owed for one floor: a kernel that takes far longer than a
// slice must not keep its queue from the device for ever.
constexpr int64_t kMostDebtNs = 10000000;  // for each percent of the floor

// Floors on top of another policy. Queues of one model share one, as their work
// is one request's: it contends while any of them is ready and the other policy
// would not let that one launch. All state is here, under the device's lock as
// everything that a policy is told; what launches look at (Queue::in_slice,
// Turn) the device writes after each decision.
//
// While a floor contends, it is owed its percentage of the time that passes.
//
//   owed a slice --it is owed most--> has the slice --held it for as long,
//        ^                                  |          or has no more work
//        '------------ is owed less <-------'
//
// A slice is for the floor's queues alone, and so is charged by the time that it
// lasts, though it begins with what others still have in flight: when it ends,
// they have as much there. That pays for device time that becomes known in it
// or later; what goes beyond, as of a long kernel, is charged then. Between
// slices others launch as the other policy says, but all of them under the
// limit in flight, so that the next slice begins within it.
//
// What is owed survives when the queues turn idle, so that many short requests
// count as one long one. Time that they have because nobody else wants it is not
// charged: they would lack it later.
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
    Put(queue);
  }

  void Removed(const Standing& queue) override
  {
    Account();
    inner_->Removed(queue);
    Take(queue);
  }

  void Changed(const Standing& before, const Standing& after) override
  {
    Account();
    inner_->Changed(before, after);
    // In this order: a floor is kept while it has a queue.
    Put(after);
    Take(before);
  }

  void Used(const Standing& queue, int64_t device_ns) override
  {
    inner_->Used(queue, device_ns);
    if (floors_.empty()) {
      return;
    }
    Account();
    // Of one that is idle, it is the time that it was ready.
    const auto floor = Find(queue.share);
    if (floor == floors_.end() || !queue.ready) {
      return;
    }
    if (Contends(*floor)) {
      const int64_t paid_ns = std::min(floor->paid_ns, device_ns);
      floor->paid_ns -= paid_ns;
      int64_t rest_ns = device_ns - paid_ns;
      if (queue.priority >= OpenFrom()) {
        // What one queue has by its priority the others lack now, not later.
        rest_ns = std::min(rest_ns, std::max<int64_t>(floor->owed_ns, 0));
      }
      Owe(&*floor, -rest_ns);
    }
  }

  Decision Decide() override
  {
    if (floors_.empty()) {
      return inner_->Decide();
    }
    Account();
    refused_ = false;
    if (slice_ != nullptr &&
        (!Contends(*Find(slice_)) || slice_held_ns_ >= slice_ns_)) {
      slice_ = nullptr;
    }
    Decision decision = inner_->Decide();
    const Floor* next = nullptr;
    for (const Floor& floor : floors_) {
      if (Contends(floor)) {
        decision.floors += floor.percent;
        if (floor.owed_ns >= slice_ns_ &&
            (next == nullptr || floor.owed_ns > next->owed_ns)) {
          next = &floor;
        }
      }
    }
    if (slice_ == nullptr && next != nullptr) {
      slice_ = next->share;
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
    if (refused_) {
      return at_ns;
    }
    const int floors = Floors();
    for (const Floor& floor : floors_) {
      if (Contends(floor)) {
        const int64_t lacks_ns =
            std::max<int64_t>(slice_ns_ - floor.owed_ns, 0);
        at_ns = std::min(
            at_ns,
            accounted_ns_ + lacks_ns * WholeOf(floors) / floor.percent + 1);
      }
    }
    return at_ns;
  }

  void Elsewhere(int ready, int floors) override
  {
    if (ready != ready_elsewhere_ || floors != floors_elsewhere_) {
      Account();
      ready_elsewhere_ = ready;
      floors_elsewhere_ = floors;
    }
  }

  void SliceRefused() override
  {
    slice_ = nullptr;
    refused_ = true;
  }

  // A slice keeps everybody else from launching.
  int Blockers(Priority priority) const override
  {
    return inner_->Blockers(priority) + (slice_ != nullptr ? 1 : 0);
  }

 private:
  struct Floor {
    const void* share = nullptr;
    int percent = 0;
    // Those who share it: how many there are, and which of them are ready.
    int queues = 0;
    PriorityCounts ready;
    int64_t owed_ns = 0;
    // Of that, parts of a nanosecond.
    int64_t rest = 0;
    // Time of slices that no known device time has been set against, of one
    // slice at most: what was left unused is not to be had for nothing.
    int64_t paid_ns = 0;
  };

  std::vector<Floor>::iterator Find(const void* share)
  {
    return std::find_if(floors_.begin(), floors_.end(), [&](const Floor& each) {
      return each.share == share;
    });
  }

  // Those below this one are held back.
  int OpenFrom() const
  {
    return std::max(inner_->Decide().open_from, ready_elsewhere_);
  }

  bool Contends(const Floor& floor) const
  {
    return floor.ready.Between(PRIORITY_NO_EXECUTE, OpenFrom()) != 0;
  }

  // The floors that contend, here and elsewhere.
  int Floors() const
  {
    int floors = floors_elsewhere_;
    for (const Floor& floor : floors_) {
      floors += Contends(floor) ? floor.percent : 0;
    }
    return floors;
  }

  // What a floor's percentage is a part of. Where processes have more than the
  // most of floors together, each gets less: something is left for the others.
  static int64_t WholeOf(int floors)
  {
    return static_cast<int64_t>(100) * std::max(floors, kMaxFloors) /
           kMaxFloors;
  }

  void Put(const Standing& queue)
  {
    if (queue.share == nullptr) {
      return;
    }
    if (floors_.empty()) {
      accounted_ns_ = NowNs();
    }
    auto floor = Find(queue.share);
    if (floor == floors_.end()) {
      floors_.emplace_back();
      floor = std::prev(floors_.end());
      floor->share = queue.share;
    }
    floor->percent = queue.floor;
    ++floor->queues;
    if (queue.ready) {
      floor->ready.Add(queue.priority);
    }
  }

  void Take(const Standing& queue)
  {
    if (queue.share == nullptr) {
      return;
    }
    const auto floor = Find(queue.share);
    if (queue.ready) {
      floor->ready.Remove(queue.priority);
    }
    if (--floor->queues == 0) {
      if (slice_ == floor->share) {
        slice_ = nullptr;
      }
      floors_.erase(floor);
    }
  }

  void Owe(Floor* floor, int64_t ns) const
  {
    floor->owed_ns = std::min(floor->owed_ns + ns, slice_ns_ + slice_ns_);
    floor->owed_ns = std::max(floor->owed_ns, -kMostDebtNs * floor->percent);
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
    const int64_t whole = WholeOf(Floors());
    for (Floor& floor : floors_) {
      int64_t owed_ns = 0;
      if (Contends(floor)) {
        const int64_t percents = passed_ns * floor.percent + floor.rest;
        owed_ns = percents / whole;
        floor.rest = percents % whole;
      }
      if (slice_ == floor.share) {
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
  // Whose share has the slice, and for how long it has had it.
  const void* slice_ = nullptr;
  int64_t slice_held_ns_ = 0;
  // Another process has one: this one is told when that ends.
  bool refused_ = false;
  // See Elsewhere.
  int ready_elsewhere_ = PRIORITY_NO_EXECUTE;
  int floors_elsewhere_ = 0;
};

}  // namespace

std::unique_ptr<Policy>
WithFloors(std::unique_ptr<Policy> inner, int64_t slice_ns)
{
  return std::make_unique<FloorPolicy>(std::move(inner), slice_ns);
}

}  // namespace xsched
