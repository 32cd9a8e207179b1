// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_POLICY_H_
#define XSCHED_PREEMPT_POLICY_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "xsched/ext.h"
#include "xsched/types.h"

namespace xsched {

// In percent of a device's time: the highest floor, and all floors together.
constexpr int kMaxFloor = XSCHED_MAX_FLOOR;
constexpr int kMaxFloors = XSCHED_MAX_FLOORS;
constexpr int kMaxWeight = XSCHED_MAX_WEIGHT;

// One queue of a device, as a policy sees it.
struct Standing {
  // Tells it from the others.
  const void* queue;
  Priority priority;
  // It has launches that want to go, or work that the device has not finished.
  bool ready;
  // The percentage of the device's time that those who share it get at least
  // while one of them is ready; 0: what its priority leaves it.
  int floor = 0;
  // What the device's time is shared by among those of equal priority that have a
  // weight; 0: none.
  int weight = 0;
  // Whose floor and weight that is: the same for all queues of a model. Null
  // without either.
  const void* share = nullptr;
};

// What a policy decides: two lines through the priorities, and, for a moment,
// those who share one floor, for whom they do not hold; and, of those of equal
// priority, whose turn it is.
struct Decision {
  // Queues of this priority and above may launch.
  int open_from;
  // To those below this one the limit in flight applies: another queue could
  // preempt them later.
  int bounded_below;
  // The floors whose queues others hold back, together, in percent. While there
  // are any, the limit applies to all queues: each may have to stop for a slice.
  int floors = 0;
  // Whoever has this share of a floor may launch now, whatever its priority, and
  // nobody else; null: see above.
  const void* slice = nullptr;
  // Of those that have a weight, only this share's may launch; null: all.
  const void* turn = nullptr;
  // The weights of those who share by them now, together. While another process
  // has the turn, 'turn' is nobody's here.
  int weights = 0;
};

// What there is in other processes that share the device.
struct Elsewhere {
  // The highest priority that has work: those below it do not launch here either.
  int ready = PRIORITY_NO_EXECUTE;
  // As in Decision.
  int floors = 0;
  // How many of them have a part in the floors of this process, which are all of
  // one model.
  int partners = 0;
  // Those that share by weights.
  struct Rival {
    // The same in all processes, and for all processes of a model.
    uint64_t who;
    // The highest priority that has work there.
    int ready;
    int weight;
  };
  std::vector<Rival> rivals;
  // What this process is to them.
  uint64_t own = 0;
};

// Decides for the queues of one device. It keeps what it needs of them, is told
// of every change, and is asked for its decision after each, so that neither
// needs to look at all queues. Called with the device's lock held: a policy
// only computes.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual const char* Name() const = 0;

  virtual void Added(const Standing& queue) = 0;
  virtual void Removed(const Standing& queue) = 0;
  // Of the same queue.
  virtual void Changed(const Standing& before, const Standing& after) = 0;
  // The device has spent so much time on a queue, as far as is known.
  virtual void Used(const Standing& queue, int64_t device_ns) = 0;

  virtual Decision Decide() = 0;
  // When the decision changes though nothing happens: it is to be asked for it
  // then. INT64_MAX: never.
  virtual int64_t ChangesAtNs() const { return INT64_MAX; }
  // Changes only before Decide.
  virtual void SetElsewhere(const Elsewhere&) {}
  // The slice of the last decision is not to be had: another process has one.
  virtual void SliceRefused() {}
  // How many ready queues keep one of this priority from launching.
  virtual int Blockers(Priority priority) const = 0;
};

// The policy for a scheduler and a policy type; null if there is none.
std::unique_ptr<Policy> MakePolicy(XSchedulerType scheduler, XPolicyType type);

std::unique_ptr<Policy> HighestPriorityFirst();
std::unique_ptr<Policy> AppManaged();
// Another policy, from whose decisions slices of so many nanoseconds are taken
// for those who have a floor.
std::unique_ptr<Policy> WithFloors(
    std::unique_ptr<Policy> inner, int64_t slice_ns);
// Another policy, by whose decisions those of equal priority that have weights
// take turns of so many nanoseconds.
std::unique_ptr<Policy> WithWeights(
    std::unique_ptr<Policy> inner, int64_t slice_ns);

}  // namespace xsched

#endif  // XSCHED_PREEMPT_POLICY_H_
