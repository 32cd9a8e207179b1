// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XSCHED_AUTO_XQUEUE_NAME: everything that the process does has one name and one
// priority.

#include <cstdlib>
#include <string>
#include <vector>

#include "control/requests.h"
#include "fixture.h"
#include "preempt/scheduler.h"
#include "xsched/ext.h"

namespace {

using xsched::QueueReport;
using xsched::Scheduler;

// Before anything reads the environment.
const bool kEnvironment =
    setenv("XSCHED_AUTO_XQUEUE", "ON", 1) == 0 &&
    setenv("XSCHED_AUTO_XQUEUE_NAME", "chat/chat_0_0", 1) == 0 &&
    setenv("XSCHED_AUTO_XQUEUE_PRIORITY", "40", 1) == 0;

class NamedProcessTest : public DriverTest {
 protected:
  // The queues, as "name priority", in the order of their ids.
  static std::vector<std::string> Queues()
  {
    std::vector<std::string> queues;
    for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
      queues.push_back(queue.name + " " + std::to_string(queue.stats.priority));
    }
    return queues;
  }
};

using Lines = std::vector<std::string>;

TEST_F(NamedProcessTest, EveryStreamHasTheNameAndThePriority)
{
  ASSERT_TRUE(kEnvironment);
  CUstream stream = nullptr;
  // Its own priority does not count.
  ASSERT_EQ(cuStreamCreateWithPriority(&stream, 0, -5), 0);
  EXPECT_EQ(LaunchOn(nullptr, simulated::Kernel(1)), 0);
  EXPECT_EQ(Queues(), (Lines{"chat/chat_0_0 40", "chat/chat_0_0 40"}));

  // A change counts for streams to come, too.
  xsched::AnswerRequest({}, "priority chat -7");
  CUstream other = nullptr;
  ASSERT_EQ(cuStreamCreate(&other, 0), 0);
  EXPECT_EQ(
      Queues(),
      (Lines{"chat/chat_0_0 -7", "chat/chat_0_0 -7", "chat/chat_0_0 -7"}));
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  EXPECT_EQ(cuStreamDestroy_v2(other), 0);
  EXPECT_EQ(Queues(), Lines{"chat/chat_0_0 -7"});
}

// An owner that the application has made keeps its own.
TEST_F(NamedProcessTest, OwnersHaveTheirOwn)
{
  XOwnerHandle owner = 0;
  char name[64] = "";
  Priority priority = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "mine", 3), kXSchedSuccess);
  ASSERT_EQ(XOwnerGet(owner, name, &priority), kXSchedSuccess);
  EXPECT_STREQ(name, "mine");
  EXPECT_EQ(priority, 3);
  xsched::AnswerRequest({}, "priority mine 4");
  ASSERT_EQ(XOwnerGet(owner, name, &priority), kXSchedSuccess);
  EXPECT_EQ(priority, 4);
  XOwnerExchange(owner);
  CUstream stream = nullptr;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  XOwnerExchange(0);
  const Lines queues = Queues();
  EXPECT_EQ(queues.back(), "mine 4");
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
  EXPECT_EQ(XOwnerGet(owner, name, &priority), kXSchedErrorNotFound);
  EXPECT_EQ(XOwnerGet(0, nullptr, &priority), kXSchedErrorInvalidValue);
}

}  // namespace
