// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_DOMAIN_GANG_H_
#define XSCHED_DOMAIN_GANG_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "domain/region.h"

namespace xsched { namespace domain {

// One device of one process in a gang: those that work on a model together, each
// on a device of its own, such as the ranks of tensor parallelism. Their
// collectives are kernels that wait on one device for the same kernel on the
// others. One that another process holds back on one device would keep the
// others waiting on the device, for as long as that lasts. So
//
//   - what one member has begun, all others may finish, whatever holds them back:
//     a member that has launched fewer collectives than another one is behind;
//   - no member begins a collective while another one is held back, nor, where
//     something urgent may come, before all others would begin it at once.
//
// The members of all gangs of a domain meet in a file of their own, and each
// writes only its slot. All launch the same collectives in the same order. Where
// they do not, some are taken to be behind, and go although it is not their
// turn, until they are idle together.
//
// Nothing here waits. Lives as long as the process.
class Gang {
 public:
  // Of the gang with that name. Null, with the reason.
  static Gang* Join(
      const std::string& folder, const std::string& name, std::string* error);
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  // A collective is about to be given to the driver.
  void Launches();
  // Whether a member has launched one that this one has not launched yet.
  bool IsBehind() const;
  // Whether it has been behind for so long, or has gone out of turn since then.
  bool IsBehindFor(int64_t least_ns, int64_t now_ns);
  // Whether it is not another member's turn.
  bool OthersAreHeld() const;
  // It is about to launch the next collective, and would do so at once.
  void Arrives();
  // Whether all others that work would launch it, too, or have.
  bool OthersHaveArrived() const;
  // Whether they are worth waiting for; 'came' says whether they did.
  bool Meets() const
  {
    return missed_.load(std::memory_order_relaxed) < kMissed;
  }
  void Met(bool came);
  // Frees what a member has left that ended: it holds up the others otherwise.
  void LookForDead();

  // Whether it is not this one's turn, as its last launch found.
  void SetHeld(bool held);
  // Whether the device has work of this one. One caller at a time.
  void SetBusy(bool busy);

 private:
  Gang(Region* region, uint64_t name);

  Slot& Own() const { return region_->Shared()->slots[region_->Own()]; }
  template <typename Visit>
  bool AnyOther(const Visit& visit) const;

  Region* const region_;
  const uint64_t name_;
  // So often in a row they did not come: they launch other collectives.
  static constexpr int kMissed = 16;
  std::atomic<int> missed_{0};
  bool busy_ = false;
  // Since when it has been behind; 0: it is not. And whether it goes out of turn
  // until it no longer is.
  std::atomic<int64_t> behind_since_ns_{0};
  std::atomic<bool> follows_{false};
  std::atomic<int64_t> next_look_ns_{0};
};

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_GANG_H_
