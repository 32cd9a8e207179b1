// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "domain/gang.h"

#include <algorithm>

namespace xsched { namespace domain {
namespace {

constexpr char kFile[] = "gangs";
// Who is further behind launches other collectives than the rest.
constexpr uint64_t kMostBehind = 4096;
// How often one that is behind looks whether the others live.
constexpr int64_t kLookNs = 100000000;

}  // namespace

Gang*
Gang::Join(
    const std::string& folder, const std::string& name, std::string* error)
{
  Region* const region = Region::Join(folder, kFile, error);
  return region == nullptr ? nullptr : new Gang(region, HashOf(name));
}

Gang::Gang(Region* region, uint64_t name) : region_(region), name_(name)
{
  Slot& own = Own();
  // What the process left that had the slot before is nobody's meanwhile.
  own.gang.store(0, std::memory_order_seq_cst);
  own.held.store(0, std::memory_order_seq_cst);
  own.busy.store(0, std::memory_order_seq_cst);
  own.collectives.store(0, std::memory_order_seq_cst);
  own.arrived.store(0, std::memory_order_seq_cst);
  own.gang.store(name_, std::memory_order_seq_cst);
  UseSlot(region_->Shared(), region_->Own());
}

template <typename Visit>
bool
Gang::AnyOther(const Visit& visit) const
{
  Layout* const shared = region_->Shared();
  const int used = UsedSlots(*shared);
  for (int number = 0; number < used; ++number) {
    Slot& slot = shared->slots[number];
    if (number != region_->Own() &&
        slot.gang.load(std::memory_order_seq_cst) == name_ &&
        visit(&slot, number)) {
      return true;
    }
  }
  return false;
}

void
Gang::Launches()
{
  Own().collectives.fetch_add(1, std::memory_order_seq_cst);
}

bool
Gang::IsBehind() const
{
  const uint64_t own = Own().collectives.load(std::memory_order_seq_cst);
  return AnyOther([own](const Slot* slot, int) {
    const uint64_t ahead =
        slot->collectives.load(std::memory_order_seq_cst) - own;
    return ahead != 0 && ahead <= kMostBehind &&
           slot->busy.load(std::memory_order_seq_cst) != 0;
  });
}

bool
Gang::IsBehindFor(int64_t least_ns, int64_t now_ns)
{
  // Relaxed: threads that look at once may begin a look later.
  if (!IsBehind()) {
    behind_since_ns_.store(0, std::memory_order_relaxed);
    follows_.store(false, std::memory_order_relaxed);
    return false;
  }
  int64_t since_ns = behind_since_ns_.load(std::memory_order_relaxed);
  if (since_ns == 0 ||
      now_ns >= next_look_ns_.load(std::memory_order_relaxed)) {
    next_look_ns_.store(now_ns + kLookNs, std::memory_order_relaxed);
    // Nobody waits for what has ended.
    LookForDead();
    if (!IsBehind()) {
      return false;
    }
  }
  if (since_ns == 0) {
    since_ns = now_ns;
    behind_since_ns_.store(now_ns, std::memory_order_relaxed);
  }
  if (now_ns - since_ns >= least_ns) {
    follows_.store(true, std::memory_order_relaxed);
  }
  return follows_.load(std::memory_order_relaxed);
}

bool
Gang::OthersAreHeld() const
{
  return AnyOther([](const Slot* slot, int) {
    return slot->held.load(std::memory_order_seq_cst) != 0;
  });
}

void
Gang::Arrives()
{
  Slot& own = Own();
  own.arrived.store(
      own.collectives.load(std::memory_order_seq_cst) + 1,
      std::memory_order_seq_cst);
}

bool
Gang::OthersHaveArrived() const
{
  const uint64_t own = Own().arrived.load(std::memory_order_seq_cst);
  return !AnyOther([own](const Slot* slot, int) {
    return slot->busy.load(std::memory_order_seq_cst) != 0 &&
           slot->arrived.load(std::memory_order_seq_cst) < own;
  });
}

void
Gang::Met(bool came)
{
  if (!came) {
    missed_.fetch_add(1, std::memory_order_relaxed);
  } else if (missed_.load(std::memory_order_relaxed) != 0) {
    missed_.store(0, std::memory_order_relaxed);
  }
}

void
Gang::SetHeld(bool held)
{
  std::atomic<uint32_t>& own = Own().held;
  if (own.load(std::memory_order_relaxed) != (held ? 1 : 0)) {
    // Sequentially consistent, as is all of this: who says that it is held and
    // then sees nobody ahead is seen by whoever gets ahead.
    own.store(held ? 1 : 0, std::memory_order_seq_cst);
  }
}

void
Gang::LookForDead()
{
  AnyOther([this](Slot* slot, int number) {
    if (!region_->IsTaken(number)) {
      // If it is taken now, whoever has it says so again: see SetBusy.
      slot->gang.store(0, std::memory_order_seq_cst);
    }
    return false;
  });
}

// What an idle member has launched is done, so all others have launched it, too.
void
Gang::SetBusy(bool busy)
{
  if (busy == busy_) {
    return;
  }
  busy_ = busy;
  Own().gang.store(name_, std::memory_order_seq_cst);
  if (busy) {
    uint64_t most = Own().collectives.load(std::memory_order_seq_cst);
    const bool others_work = AnyOther([&most](const Slot* slot, int) {
      most = std::max(most, slot->collectives.load(std::memory_order_seq_cst));
      return slot->busy.load(std::memory_order_seq_cst) != 0;
    });
    if (!others_work) {
      Own().collectives.store(most, std::memory_order_seq_cst);
      Own().arrived.store(most, std::memory_order_seq_cst);
    }
  }
  Own().busy.store(busy ? 1 : 0, std::memory_order_seq_cst);
  if (!busy) {
    SetHeld(false);
  }
}

}}  // namespace xsched::domain
