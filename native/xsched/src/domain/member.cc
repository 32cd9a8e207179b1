// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "domain/member.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "preempt/clock.h"
#include "preempt/log.h"
#include "preempt/own_thread.h"

namespace xsched { namespace domain {
namespace {

// How often a process that claims something says so again and looks at the
// others, and for how long a claim holds that nobody renews. With both, nobody
// waits 100 ms for a process that is stopped.
constexpr int64_t kTickNs = 15000000;
constexpr int64_t kLeaseNs = 60000000;
// Whoever was away for so long itself cannot say who else was.
constexpr int64_t kAwayNs = 2 * kTickNs;
// How long the thread goes on without anything to renew, so that who launches
// now and then need not wake it.
constexpr int64_t kLingerNs = 1000000000;
// How often a process with nothing to do looks after the file.
constexpr int64_t kCheckNs = 1000000000;

// Between processes: not FUTEX_PRIVATE_FLAG. If the file is gone, these fail,
// which is an early return.
void
SleepOn(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns)
{
  struct timespec timeout;
  timeout.tv_sec = timeout_ns / 1000000000;
  timeout.tv_nsec = timeout_ns % 1000000000;
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

void
RingAt(Slot* slot)
{
  slot->bell.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, &slot->bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

int
WaitsOf(const Slot& slot)
{
  // Sequentially consistent: see Member::Publish.
  const uint32_t level = slot.waits.load(std::memory_order_seq_cst);
  return PRIORITY_NO_EXECUTE + static_cast<int>(std::min<uint32_t>(
                                   level, PRIORITY_MAX - PRIORITY_NO_EXECUTE));
}

// Whatever the slice.
void
Unite(const Claim& claim, Demand* all)
{
  all->ready = std::max(all->ready, claim.Ready());
  all->ceiling = std::max(all->ceiling, claim.Ceiling());
  all->floors += claim.Floors();
}

}  // namespace

Member*
Member::Join(
    const std::string& folder, const std::string& device, std::string* error)
{
  Region* const region = Region::Join(folder, device, error);
  return region == nullptr ? nullptr : new Member(region);
}

Member::Member(Region* region) : region_(region)
{
  Slot& own = OwnSlot();
  // The claim of the process that had the slot before is not repeated.
  beat_.store(
      Claim(own.claim.load(std::memory_order_seq_cst)).Beat(),
      std::memory_order_relaxed);
  own.waits.store(0, std::memory_order_seq_cst);
  own.pid.store(getpid(), std::memory_order_relaxed);
  own.since_ns.store(NowNs(), std::memory_order_relaxed);
  own.used_ns.store(0, std::memory_order_relaxed);
  own.model.store(0, std::memory_order_relaxed);
  own.weight.store(0, std::memory_order_relaxed);
  WriteClaim();
  Settle();
}

bool
Member::Start(std::function<void()> changed)
{
  changed_ = std::move(changed);
  pthread_t thread = {};
  if (!StartOwnThread<&Member::Run>("xsched-domain", this, &thread)) {
    return false;
  }
  pthread_detach(thread);
  return true;
}

// --- what is claimed ---------------------------------------------------------

void
Member::WriteClaim()
{
  // Also in the memory that took the place of a file.
  UseSlot(region_->Shared(), region_->Own());
  const uint64_t beat = beat_.load(std::memory_order_relaxed) + 1;
  beat_.store(beat, std::memory_order_relaxed);
  // Sequentially consistent, as is all of the protocol: see Settle and Publish.
  OwnSlot().claim.store(
      demand_.load(std::memory_order_relaxed) | Claim({}, beat).Word(),
      std::memory_order_seq_cst);
}

// A claim is written first, and then the top is read, the claims are read, and
// the top is replaced if it is still what it was. So the one that replaces it
// last has read every claim that was written before somebody read the top for
// the last time; whoever wrote one after that has yet to replace it. The top is
// replaced even if nothing changes: else one that is at it with older claims
// would succeed.
//
// The slice is in the top alone, so one process has it at most. Who has it keeps
// it as long as its claim says so; then it is whoever's that takes it first.
// Nobody is given it: one that sleeps would keep the device idle.
Claim
Member::Settle()
{
  Layout* const shared = region_->Shared();
  uint64_t top = shared->top.load(std::memory_order_seq_cst);
  Claim settled;
  do {
    Demand all;
    bool wants_slice = false;
    const int holder = Claim(top).Slice();
    const int used = UsedSlots(*shared);
    for (int slot = 0; slot < used; ++slot) {
      const Claim claim(
          shared->slots[slot].claim.load(std::memory_order_seq_cst));
      Unite(claim, &all);
      if (claim.Slice() != 0) {
        all.slice = slot + 1 == holder ? holder : all.slice;
        wants_slice = wants_slice || slot == region_->Own();
      }
    }
    if (all.slice == 0 && wants_slice) {
      all.slice = OwnSlice();
    }
    settled = Claim(all, Claim(top).Beat() + 1);
  } while (!shared->top.compare_exchange_weak(
      top, settled.Word(), std::memory_order_seq_cst));
  return settled;
}

// Who waits says so and then reads the top; who lowers the top then looks who
// waits. So one of them sees the other. Who wants the slice waits for it in the
// same way, by its claim.
Claim
Member::Publish(const Demand& demand, int waits)
{
  Slot& own = OwnSlot();
  const Claim written(own.claim.load(std::memory_order_seq_cst));
  // Others revoke the claim of a process that was stopped.
  const bool revoked = written.Beat() != beat_.load(std::memory_order_relaxed);
  if (waits != waits_ || revoked) {
    own.waits.store(
        static_cast<uint32_t>(waits - PRIORITY_NO_EXECUTE),
        std::memory_order_seq_cst);
    waits_ = waits;
    rings_.store(true, std::memory_order_relaxed);
  }
  const uint64_t said = Claim(demand, 0).Word();
  if (said != demand_.load(std::memory_order_relaxed) || revoked) {
    // Sequentially consistent: see Tick.
    demand_.store(said, std::memory_order_seq_cst);
    rings_.store(true, std::memory_order_relaxed);
    WriteClaim();
    return Settle();
  }
  if (renews_.exchange(false, std::memory_order_relaxed)) {
    WriteClaim();
  }
  const Claim top(Top()->load(std::memory_order_seq_cst));
  return demand.slice != 0 && top.Slice() == 0 ? Settle() : top;
}

void
Member::Ring()
{
  if (!rings_.exchange(false, std::memory_order_relaxed)) {
    return;
  }
  Layout* const shared = region_->Shared();
  // There is something to renew now.
  if (ReadyHere() != PRIORITY_NO_EXECUTE &&
      rests_.load(std::memory_order_seq_cst) &&
      rests_.exchange(false, std::memory_order_seq_cst)) {
    RingAt(&OwnSlot());
  }
  const Claim top(Top()->load(std::memory_order_seq_cst));
  const int own_waits = WaitsOf(OwnSlot());
  const int used = UsedSlots(*shared);
  for (int i = 0; i < used; ++i) {
    Slot& slot = shared->slots[i];
    if (i == region_->Own()) {
      continue;
    }
    const int waits = WaitsOf(slot);
    const Claim claim(slot.claim.load(std::memory_order_seq_cst));
    const bool its_turn =
        top.Slice() == 0 &&
        (claim.Slice() != 0 ||
         (waits != PRIORITY_NO_EXECUTE && waits >= top.Ready()));
    // It may not know that this process waits for it.
    const bool unaware =
        own_waits != PRIORITY_NO_EXECUTE && claim.Ready() > own_waits;
    if (its_turn || unaware) {
      RingAt(&slot);
    }
  }
}

void
Member::AddUsed(int64_t device_ns)
{
  OwnSlot().used_ns.fetch_add(device_ns, std::memory_order_relaxed);
}

void
Member::ShareBy(int weight)
{
  std::atomic<uint32_t>& own = OwnSlot().weight;
  if (own.load(std::memory_order_relaxed) != static_cast<uint32_t>(weight)) {
    // Relaxed: it changes no order. Who has not seen it sees it a turn later.
    own.store(static_cast<uint32_t>(weight), std::memory_order_relaxed);
  }
}

Member::Report
Member::Describe() const
{
  const int used = UsedSlots(*region_->Shared());
  Report report = {};
  for (int slot = 0; slot < used; ++slot) {
    report.processes +=
        slot == region_->Own() || region_->IsTaken(slot) ? 1 : 0;
  }
  const int waits = WaitsOf(OwnSlot());
  report.used_ns = OwnSlot().used_ns.load(std::memory_order_relaxed);
  report.waits = waits != PRIORITY_NO_EXECUTE && HoldsBack(waits);
  report.holds_up = OthersWait();
  return report;
}

// --- what others claim -------------------------------------------------------

void
Member::WorkFor(const std::string& model)
{
  // Relaxed: it changes no order.
  OwnSlot().model.store(
      model.empty() ? 0 : HashOf(model), std::memory_order_relaxed);
}

uint64_t
Member::OwnIdentity() const
{
  return IdentityOf(OwnSlot(), region_->Own());
}

Member::Others
Member::Outside() const
{
  const Layout& shared = *region_->Shared();
  const uint64_t model = OwnSlot().model.load(std::memory_order_relaxed);
  Demand all;
  Others others;
  const int used = UsedSlots(shared);
  for (int number = 0; number < used; ++number) {
    const Slot& slot = shared.slots[number];
    if (number != region_->Own()) {
      const Claim claim(slot.claim.load(std::memory_order_seq_cst));
      Unite(claim, &all);
      others.partners +=
          model != 0 && claim.Floors() != 0 &&
                  slot.model.load(std::memory_order_relaxed) == model
              ? 1
              : 0;
      const int weight = WeightOf(slot);
      if (weight != 0 && claim.Ready() != PRIORITY_NO_EXECUTE) {
        others.rivals.push_back(
            {IdentityOf(slot, number), claim.Ready(), weight});
      }
    }
  }
  others.ready = all.ready;
  others.floors = all.floors;
  return others;
}

bool
Member::HoldsBack(int priority) const
{
  const int slice = Claim(Top()->load(std::memory_order_seq_cst)).Slice();
  return (slice != 0 && slice != OwnSlice()) || Outside().ready > priority;
}

bool
Member::OthersWait() const
{
  const Layout& shared = *region_->Shared();
  const int ready = ReadyHere();
  // Those of the same priority wait for their turns.
  const bool takes_turns =
      OwnSlot().weight.load(std::memory_order_relaxed) != 0;
  const bool has_slice =
      Claim(Top()->load(std::memory_order_seq_cst)).Slice() == OwnSlice();
  const int used = UsedSlots(shared);
  for (int slot = 0; slot < used; ++slot) {
    const int waits = WaitsOf(shared.slots[slot]);
    if (slot != region_->Own() && waits != PRIORITY_NO_EXECUTE &&
        (waits < ready || has_slice || (takes_turns && waits == ready))) {
      return true;
    }
  }
  return false;
}

// --- the thread --------------------------------------------------------------

void
Member::Revoke(int index, Claim claim)
{
  Slot& slot = region_->Shared()->slots[index];
  uint64_t word = claim.Word();
  // Not if it has been renewed meanwhile.
  if (slot.claim.compare_exchange_strong(
          word, Claim({}, claim.Beat() + 1).Word(),
          std::memory_order_seq_cst)) {
    slot.waits.store(0, std::memory_order_seq_cst);
    rings_.store(true, std::memory_order_relaxed);
  }
}

void
Member::LookAtOthers(int64_t now_ns, bool at_all)
{
  Layout* const shared = region_->Shared();
  for (int slot = 0; slot < kSlots; ++slot) {
    const Claim claim(
        shared->slots[slot].claim.load(std::memory_order_seq_cst));
    Seen& seen = seen_[static_cast<size_t>(slot)];
    if (!claim.IsEmpty()) {
      UseSlot(shared, slot);
    }
    if (claim.Word() != seen.claim) {
      seen = {claim.Word(), now_ns};
      continue;
    }
    if (slot == region_->Own() || claim.IsEmpty()) {
      continue;
    }
    // One that has nothing to do renews nothing.
    const bool due = claim.IsDue();
    const int64_t age_ns = now_ns - seen.since_ns;
    if ((due && age_ns >= kLeaseNs) ||
        (((due && age_ns > kTickNs) || at_all) && !region_->IsTaken(slot))) {
      Revoke(slot, claim);
    }
  }
}

int64_t
Member::Tick(int64_t now_ns)
{
  if (now_ns - ticked_ns_ > kAwayNs) {
    for (Seen& seen : seen_) {
      seen.since_ns = now_ns;
    }
  }
  ticked_ns_ = now_ns;
  rests_.store(false, std::memory_order_relaxed);
  const bool checks = now_ns >= next_check_ns_;
  if (checks && !left_ && !region_->IsIntact()) {
    left_ = true;
    region_->Leave();
    Log(LogLevel::kError,
        "the file of the scheduling domain was removed, shortened or "
        "overwritten: from now on this process is scheduled by itself; start it "
        "again");
  }
  if (now_ns >= next_beat_ns_) {
    next_beat_ns_ = now_ns + kTickNs;
    next_check_ns_ = checks ? now_ns + kCheckNs : next_check_ns_;
    if (!left_) {
      LookAtOthers(now_ns, checks);
    }
    // What a process leaves that died before it could.
    Settle();
    rings_.store(true, std::memory_order_relaxed);
    // Relaxed: the device's lock follows.
    renews_.store(true, std::memory_order_relaxed);
  }
  changed_();
  Ring();
  if (ReadyHere() != PRIORITY_NO_EXECUTE) {
    worked_ns_ = now_ns;
  } else if (now_ns - worked_ns_ > kLingerNs) {
    // Either this sees that there is something to renew, or Ring sees that the
    // thread rests, and the bell rings before it sleeps.
    rests_.store(true, std::memory_order_seq_cst);
    if (ReadyHere() == PRIORITY_NO_EXECUTE) {
      return kCheckNs;
    }
  }
  return std::max<int64_t>(next_beat_ns_ - now_ns, 1);
}

void
Member::Run()
{
  Slot& own = OwnSlot();
  while (true) {
    // Before it looks: what changes after that has rung.
    const uint32_t bell = own.bell.load(std::memory_order_seq_cst);
    SleepOn(&own.bell, bell, Tick(NowNs()));
  }
}

}}  // namespace xsched::domain
