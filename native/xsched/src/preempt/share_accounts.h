// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_SHARE_ACCOUNTS_H_
#define XSCHED_PREEMPT_SHARE_ACCOUNTS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "preempt/policy.h"
#include "preempt/priority_counts.h"

namespace xsched {

// What those who share a part of a device's time, the queues of a model, are
// owed of it.
struct ShareAccount {
  const void* share = nullptr;
  // A floor in percent, or a weight; 0: they are owed nothing.
  int part = 0;
  // How many queues there are, and which of them are ready.
  int queues = 0;
  PriorityCounts ready;
  int64_t owed_ns = 0;
  // Of that, parts of a nanosecond.
  int64_t rest = 0;
  // Time that they had the device for themselves and no known device time has
  // been set against.
  int64_t paid_ns = 0;
  // Of weights alone. Who had the device after them; when and at which priority
  // they last had work that wanted to share it.
  const void* successor = nullptr;
  int64_t contended_ns = INT64_MIN / 2;
  Priority level = PRIORITY_NO_EXECUTE;

  // Their part of the time that has passed, in which they alone had the device
  // or not.
  void Pass(int64_t passed_ns, int64_t whole)
  {
    const int64_t parts = passed_ns * part + rest;
    owed_ns += parts / whole;
    rest = parts % whole;
  }
  // Time in which they had the device for themselves. What they left unused, of
  // one slice at most, pays for device time that becomes known later.
  void Have(int64_t passed_ns, int64_t slice_ns)
  {
    owed_ns -= passed_ns;
    paid_ns = std::min(paid_ns + passed_ns, slice_ns);
  }
  // Of that time, the device spent so much on work that others had left there.
  void GiveBack(int64_t device_ns)
  {
    owed_ns += device_ns;
    paid_ns = std::max<int64_t>(paid_ns - device_ns, 0);
  }
  // Of device time that has become known: what has not been charged yet by the
  // time that they had the device.
  int64_t TakeUnpaid(int64_t device_ns)
  {
    const int64_t paid = std::min(paid_ns, device_ns);
    paid_ns -= paid;
    return device_ns - paid;
  }
};

// One account for each share of a device that has queues. 'part' says what of a
// queue's standing the account is about.
class ShareAccounts {
 public:
  explicit ShareAccounts(int Standing::*part) : part_(part) {}

  bool IsEmpty() const { return accounts_.empty(); }
  std::vector<ShareAccount>::iterator begin() { return accounts_.begin(); }
  std::vector<ShareAccount>::iterator end() { return accounts_.end(); }
  std::vector<ShareAccount>::const_iterator begin() const
  {
    return accounts_.begin();
  }
  std::vector<ShareAccount>::const_iterator end() const
  {
    return accounts_.end();
  }

  // Null if there is none.
  ShareAccount* Find(const void* share)
  {
    const auto found = std::find_if(
        begin(), end(),
        [&](const ShareAccount& each) { return each.share == share; });
    return found == end() ? nullptr : &*found;
  }

  void Put(const Standing& queue)
  {
    if (queue.share == nullptr) {
      return;
    }
    ShareAccount* account = Find(queue.share);
    if (account == nullptr) {
      accounts_.emplace_back();
      account = &accounts_.back();
      account->share = queue.share;
    }
    account->part = queue.*part_;
    ++account->queues;
    if (queue.ready) {
      account->ready.Add(queue.priority);
    }
  }

  // True if the share has ended with it.
  bool Take(const Standing& queue)
  {
    if (queue.share == nullptr) {
      return false;
    }
    ShareAccount* const account = Find(queue.share);
    if (queue.ready) {
      account->ready.Remove(queue.priority);
    }
    if (--account->queues != 0) {
      return false;
    }
    accounts_.erase(begin() + (account - accounts_.data()));
    return true;
  }

 private:
  int Standing::*const part_;
  std::vector<ShareAccount> accounts_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_SHARE_ACCOUNTS_H_
