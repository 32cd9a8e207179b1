// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_DOMAIN_MEMBER_H_
#define XSCHED_DOMAIN_MEMBER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "domain/layout.h"
#include "domain/region.h"

namespace xsched { namespace domain {

// This process in the scheduling domain of one device. The protocol, what each
// crash leaves behind and who mends it are in docs/explanation/domain.md, and as
// a model that is checked in model/domain.pml; change them together.
//
// Lives as long as the process. Publish has one caller at a time: the device,
// under its lock. Nothing here waits but the member's own thread.
class Member {
 public:
  // Null, with the reason.
  static Member* Join(
      const std::string& folder, const std::string& device, std::string* error);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // Runs the member's thread, which calls 'changed' when others may have
  // changed. False if there is no thread to be had.
  bool Start(std::function<void()> changed);

  // The claims of all processes taken together: every launch reads it.
  const std::atomic<uint64_t>* Top() const { return &region_->Shared()->top; }

  // What this process claims, and the highest priority that its launches wait
  // with (PRIORITY_NO_EXECUTE: none). Returns what all processes claim after
  // that. Ring must follow, without a lock.
  //
  // A slice that it wants it has if nobody else has one. If somebody has, this
  // process is rung when that ends, and publishes again.
  Claim Publish(const Demand& demand, int waits);
  // Wakes the processes that what was published concerns.
  void Ring();
  void AddUsed(int64_t device_ns);
  // The weights of the models that have work of the priority that is published
  // next, together. One caller at a time, as Publish.
  void ShareBy(int weight);

  // What a person sees of this process in the domain.
  struct Report {
    int processes;  // with this one
    int64_t used_ns;
    bool waits;     // a launch, for another process
    bool holds_up;  // a launch of another process
  };
  Report Describe() const;

  // All of this process's work is that model's from now on.
  void WorkFor(const std::string& model);

  // What all other processes claim together.
  struct Others {
    int ready = PRIORITY_NO_EXECUTE;
    int floors = 0;
    // How many of them work for the same model and have its floor held back.
    int partners = 0;
    // Those that share by weights.
    struct Rival {
      // The same for all processes of a model.
      uint64_t who;
      int ready;
      int weight;
    };
    std::vector<Rival> rivals;
  };
  Others Outside() const;
  // Which of the rivals this process is to others.
  uint64_t OwnIdentity() const;
  // Whether another process keeps a launch of this priority from going.
  bool HoldsBack(int priority) const;
  // What says in Top that this process has the slice.
  int OwnSlice() const { return region_->Own() + 1; }
  // Whether a launch in another process waits for what this one claims.
  bool OthersWait() const;

  // What the thread does when it wakes up. Returns how long it may sleep.
  int64_t Tick(int64_t now_ns);

 private:
  explicit Member(Region* region);

  Slot& OwnSlot() const { return region_->Shared()->slots[region_->Own()]; }
  // Writes the claim, which is another one each time.
  void WriteClaim();
  // Makes the top what the claims are, and takes the slice if this process wants
  // it and nobody has it. At least one of those that change a claim at the same
  // time sees all of them.
  Claim Settle();
  void Revoke(int slot, Claim claim);
  // 'at_all': also at those that claim no work.
  void LookAtOthers(int64_t now_ns, bool at_all);
  void Run();

  Region* const region_;
  std::function<void()> changed_;
  int ReadyHere() const
  {
    return Claim(demand_.load(std::memory_order_seq_cst)).Ready();
  }

  // What was published last, a claim without a beat, and the beat of the claim.
  // Written under the device's lock; the thread reads them.
  std::atomic<uint64_t> demand_{0};
  std::atomic<uint64_t> beat_{0};
  int waits_ = PRIORITY_NO_EXECUTE;
  std::atomic<bool> rings_{false};
  // The claim is to be written again although it is the same.
  std::atomic<bool> renews_{false};
  // The thread sleeps for long.
  std::atomic<bool> rests_{false};

  // Of the thread: the claim of each slot, and since when it is that.
  struct Seen {
    uint64_t claim = 0;
    int64_t since_ns = 0;
  };
  std::array<Seen, kSlots> seen_;
  int64_t next_check_ns_ = 0;
  int64_t next_beat_ns_ = 0;
  int64_t ticked_ns_ = 0;
  int64_t worked_ns_ = 0;
  bool left_ = false;
};

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_MEMBER_H_
