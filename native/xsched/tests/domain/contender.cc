// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A process that does nothing but take part in a domain, as fast as it can, so
// that one that is killed is killed anywhere in the protocol:
//   contender FOLDER DEVICE SEED
// It writes a line once it takes part.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>

#include "domain/member.h"
#include "preempt/wait.h"

namespace {

using xsched::domain::Claim;
using xsched::domain::Demand;
using xsched::domain::Member;

// What the device does under its lock.
class Contender {
 public:
  explicit Contender(Member* member) : member_(member)
  {
    if (!member->Start([this] { Repeat(); })) {
      abort();
    }
  }

  // 'floor': in percent; with one it wants a slice, and may have it afterwards.
  void Say(int ready, int waits, int floor = 0)
  {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      demand_ = {ready, PRIORITY_MAX, floor, floor == 0 ? 0 : 1};
      waits_ = waits;
      member_->Publish(demand_, waits_);
    }
    member_->Ring();
  }

  bool MayGo(int priority) const
  {
    const Claim top(member_->Top()->load());
    return top.Slice() == member_->OwnSlice() ||
           (top.Slice() == 0 && top.Ready() <= priority);
  }

  void SleepUntilMayGo(int priority)
  {
    while (!MayGo(priority)) {
      xsched::SleepNs(100000);
    }
  }

 private:
  void Repeat()
  {
    std::lock_guard<std::mutex> lock(mutex_);
    member_->Publish(demand_, waits_);
  }

  Member* const member_;
  std::mutex mutex_;
  Demand demand_ = {PRIORITY_NO_EXECUTE, PRIORITY_MAX};
  int waits_ = PRIORITY_NO_EXECUTE;
};

}  // namespace

int
main(int, char** argv)
{
  std::string error;
  Member* const member = Member::Join(argv[1], argv[2], &error);
  if (member == nullptr) {
    puts(error.c_str());
    return 1;
  }
  Contender contender(member);
  puts("ready");
  fflush(stdout);
  std::mt19937 random(static_cast<unsigned>(atoi(argv[3])));
  while (true) {
    const int priority = static_cast<int>(random() % 100);
    const int floor =
        random() % 3 == 0 ? 1 + static_cast<int>(random() % 50) : 0;
    contender.Say(priority, priority, floor);
    contender.SleepUntilMayGo(priority);
    contender.Say(priority, PRIORITY_NO_EXECUTE, floor);
    xsched::SleepNs(random() % 50000);
    contender.Say(PRIORITY_NO_EXECUTE, PRIORITY_NO_EXECUTE);
  }
}
