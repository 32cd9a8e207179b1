// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>

#include "preempt/clock.h"
#include "preempt/policy.h"
#include "preempt/policy_on_top.h"
#include "preempt/share_accounts.h"

namespace xsched {
namespace {

// The most that can be owed for one floor: a kernel that takes far longer than a
// slice must not keep its queue from the device for ever.
constexpr int64_t kMostFloorDebtNs = 10000000;  // for each percent of the floor

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
class FloorPolicy final : public PolicyOnTop {
 public:
  FloorPolicy(std::unique_ptr<Policy> inner, int64_t slice_ns)
      : PolicyOnTop(std::move(inner)), slice_ns_(slice_ns)
  {
  }

  void Added(const Standing& queue) override
  {
    Account();
    PolicyOnTop::Added(queue);
    Put(queue);
  }

  void Removed(const Standing& queue) override
  {
    Account();
    PolicyOnTop::Removed(queue);
    Take(queue);
  }

  void Changed(const Standing& before, const Standing& after) override
  {
    Account();
    PolicyOnTop::Changed(before, after);
    // In this order: a floor is kept while it has a queue.
    Put(after);
    Take(before);
  }

  void Used(const Standing& queue, int64_t device_ns) override
  {
    PolicyOnTop::Used(queue, device_ns);
    if (floors_.IsEmpty()) {
      return;
    }
    Account();
    // Of one that is idle, it is the time that it was ready.
    ShareAccount* const floor = floors_.Find(queue.share);
    if (floor == nullptr || !queue.ready) {
      return;
    }
    if (Contends(*floor)) {
      int64_t unpaid_ns = floor->TakeUnpaid(device_ns);
      if (queue.priority >= OpenFrom()) {
        // What one queue has by its priority the others lack now, not later.
        unpaid_ns = std::min(unpaid_ns, std::max<int64_t>(floor->owed_ns, 0));
      }
      floor->owed_ns -= unpaid_ns;
      Limit(floor);
    }
  }

  Decision Decide() override
  {
    if (floors_.IsEmpty()) {
      return PolicyOnTop::Decide();
    }
    Account();
    refused_ = false;
    if (slice_ != nullptr &&
        (!Contends(*floors_.Find(slice_)) || slice_held_ns_ >= slice_ns_)) {
      slice_ = nullptr;
    }
    Decision decision = PolicyOnTop::Decide();
    const ShareAccount* next = nullptr;
    for (const ShareAccount& floor : floors_) {
      if (Contends(floor)) {
        decision.floors += PartHere(floor);
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
    for (const ShareAccount& floor : floors_) {
      if (Contends(floor)) {
        const int64_t lacks_ns =
            std::max<int64_t>(slice_ns_ - floor.owed_ns, 0);
        at_ns = std::min(
            at_ns, accounted_ns_ + lacks_ns * WholeOf(floors) / floor.part + 1);
      }
    }
    return at_ns;
  }

  void SetElsewhere(const Elsewhere& elsewhere) override
  {
    PolicyOnTop::SetElsewhere(elsewhere);
    if (elsewhere.ready != elsewhere_.ready ||
        elsewhere.floors != elsewhere_.floors ||
        elsewhere.partners != elsewhere_.partners) {
      Account();
      elsewhere_ = elsewhere;
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
    return PolicyOnTop::Blockers(priority) + (slice_ != nullptr ? 1 : 0);
  }

 private:
  // Those below this one are held back.
  int OpenFrom() const
  {
    return std::max(Inner().Decide().open_from, elsewhere_.ready);
  }

  bool Contends(const ShareAccount& floor) const
  {
    return floor.part != 0 &&
           floor.ready.Between(PRIORITY_NO_EXECUTE, OpenFrom()) != 0;
  }

  // The floors that contend, here and elsewhere.
  int Floors() const
  {
    int floors = elsewhere_.floors;
    for (const ShareAccount& floor : floors_) {
      floors += Contends(floor) ? PartHere(floor) : 0;
    }
    return floors;
  }

  // What this process has of a floor that it shares with others, rounded up.
  int PartHere(const ShareAccount& floor) const
  {
    return (floor.part + elsewhere_.partners) / (elsewhere_.partners + 1);
  }

  // What a floor's percentage is a part of. Where processes have more than the
  // most of floors together, each gets less: something is left for the others.
  int64_t WholeOf(int floors) const
  {
    return static_cast<int64_t>(100) * (elsewhere_.partners + 1) *
           std::max(floors, kMaxFloors) / kMaxFloors;
  }

  void Put(const Standing& queue)
  {
    if (floors_.IsEmpty()) {
      accounted_ns_ = NowNs();
    }
    floors_.Put(queue);
  }

  void Take(const Standing& queue)
  {
    if (floors_.Take(queue) && slice_ == queue.share) {
      slice_ = nullptr;
    }
  }

  // Within what may be owed.
  void Limit(ShareAccount* floor) const
  {
    floor->owed_ns = std::min(floor->owed_ns, slice_ns_ + slice_ns_);
    floor->owed_ns = std::max(floor->owed_ns, -kMostFloorDebtNs * floor->part);
  }

  // The time since the last change, in which all was as it is.
  void Account()
  {
    if (floors_.IsEmpty()) {
      return;
    }
    const int64_t now_ns = NowNs();
    const int64_t passed_ns = now_ns - accounted_ns_;
    accounted_ns_ = now_ns;
    const int64_t whole = WholeOf(Floors());
    for (ShareAccount& floor : floors_) {
      if (Contends(floor)) {
        floor.Pass(passed_ns, whole);
      }
      if (slice_ == floor.share) {
        slice_held_ns_ += passed_ns;
        floor.Have(passed_ns, slice_ns_);
      }
      Limit(&floor);
    }
  }

  const int64_t slice_ns_;
  ShareAccounts floors_{&Standing::floor};
  int64_t accounted_ns_ = 0;
  // Whose share has the slice, and for how long it has had it.
  const void* slice_ = nullptr;
  int64_t slice_held_ns_ = 0;
  // Another process has one: this one is told when that ends.
  bool refused_ = false;
  Elsewhere elsewhere_;
};

}  // namespace

std::unique_ptr<Policy>
WithFloors(std::unique_ptr<Policy> inner, int64_t slice_ns)
{
  return std::make_unique<FloorPolicy>(std::move(inner), slice_ns);
}

}  // namespace xsched
