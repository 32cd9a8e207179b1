// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_OTHER_PROCESS_H_
#define XSCHED_TESTS_OTHER_PROCESS_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "domain/layout.h"
#include "domain/member.h"

namespace xsched {

// A scheduling domain with this process and another one, which is what the test
// writes into the file. Lives as long as the process.
class OtherProcess {
 public:
  // What says in the top that the other one has the slice.
  static constexpr int kSlice = 2;

  OtherProcess()
  {
    char folder[] = "/tmp/xsched-domain-XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    std::string error;
    member_ = domain::Member::Join(folder, "gpu-1", &error);
    EXPECT_NE(member_, nullptr) << error;
    const std::string file = std::string(folder) + "/gpu-1";
    // Not closed: that would give up this process's lock.
    const int fd = open(file.c_str(), O_RDWR | O_CLOEXEC);
    shared_ = static_cast<domain::Layout*>(mmap(
        nullptr, sizeof(domain::Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
        0));
    unlink(file.c_str());
    rmdir(folder);
    shared_->header.used.store(kSlice);
  }

  domain::Member* GetMember() const { return member_; }
  domain::Slot& OwnSlot() const
  {
    return shared_->slots[member_->OwnSlice() - 1];
  }
  domain::Claim OwnClaim() const { return domain::Claim(OwnSlot().claim); }
  domain::Claim Top() const { return domain::Claim(shared_->top); }

  // The other process publishes a demand, and takes the slice or gives it back.
  // It rings nobody.
  void Publish(const domain::Demand& demand)
  {
    Slot().claim.store(domain::Claim(demand, ++beat_).Word());
    const domain::Claim own = OwnClaim();
    const domain::Claim top = Top();
    const int slice = demand.slice != 0       ? kSlice
                      : top.Slice() == kSlice ? 0
                                              : top.Slice();
    shared_->top.store(domain::Claim(
                           {std::max(demand.ready, own.Ready()),
                            std::max(demand.ceiling, own.Ceiling()),
                            demand.floors + own.Floors(), slice},
                           top.Beat() + 1)
                           .Word());
  }
  void ShareBy(uint32_t weight) { Slot().weight.store(weight); }
  void Wait(int priority)
  {
    Slot().waits.store(static_cast<uint32_t>(priority - PRIORITY_NO_EXECUTE));
  }
  void WorkForTheSameModel() { Slot().model.store(OwnSlot().model); }
  void WorkForSeveralModels() { Slot().model.store(0); }

 private:
  domain::Slot& Slot() const { return shared_->slots[kSlice - 1]; }

  domain::Member* member_ = nullptr;
  domain::Layout* shared_ = nullptr;
  uint64_t beat_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_TESTS_OTHER_PROCESS_H_
