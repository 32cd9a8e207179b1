// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XSCHED_GANG: which launches of a process are collectives, and what follows from
// the first. What the processes of a gang do to each other is in domain_test.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "control/requests.h"
#include "domain/layout.h"
#include "fixture.h"
#include "preempt/scheduler.h"

namespace {

using xsched::Scheduler;
using xsched::domain::Layout;
using xsched::domain::Slot;

constexpr char kGangs[] = "gangs";
constexpr char kDevice[] = "gpu-01000000000000000000000000000000";

std::string
MakeFolder()
{
  char folder[] = "/tmp/xsched-gang-XXXXXX";
  return mkdtemp(folder) == nullptr ? "" : folder;
}

const std::string kFolder = MakeFolder();

// Before anything reads the environment.
const bool kEnvironment =
    setenv("XSCHED_SCHEDULER", "GLB", 1) == 0 &&
    setenv("XSCHED_DOMAIN_DIR", kFolder.c_str(), 1) == 0 &&
    setenv("XSCHED_AUTO_XQUEUE", "ON", 1) == 0 &&
    setenv("XSCHED_AUTO_XQUEUE_NAME", "chat/chat_0_0", 1) == 0 &&
    setenv("XSCHED_GANG", "chat", 1) == 0;

class GangProcessTest : public DriverTest {
 protected:
  void SetUp() override
  {
    ASSERT_TRUE(kEnvironment);
    ASSERT_NO_FATAL_FAILURE(DriverTest::SetUp());
    ASSERT_EQ(cuStreamCreate(&stream_, 0), 0);
  }
  void TearDown() override
  {
    EXPECT_EQ(cuStreamDestroy_v2(stream_), 0);
    DriverTest::TearDown();
    for (const char* file : {kGangs, kDevice}) {
      EXPECT_EQ(unlink((kFolder + "/" + file).c_str()), 0);
    }
    EXPECT_EQ(rmdir(kFolder.c_str()), 0);
  }

  // What the process says there. Not closed: that would give up its lock.
  static const Slot& SlotIn(const char* file)
  {
    const int fd = open((kFolder + "/" + file).c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_GE(fd, 0);
    return static_cast<const Layout*>(
               mmap(nullptr, sizeof(Layout), PROT_READ, MAP_SHARED, fd, 0))
        ->slots[0];
  }
  // What it shares by, and what a person sees of that.
  static unsigned Shares() { return SlotIn(kDevice).weight.load(); }
  static int Weight() { return Scheduler::Get().ReportAll().front().weight; }

  CUstream stream_ = nullptr;
};

TEST_F(GangProcessTest, TheFirstCollectiveJoinsTheGangAndTakesTurns)
{
  // Of the simulated driver's.
  const auto exec = reinterpret_cast<CUgraphExec>(simulated::Kernel(1, 7));

  EXPECT_EQ(LaunchOn(stream_, simulated::Kernel(1)), 0);
  EXPECT_EQ(cuGraphLaunch(exec, stream_), 0);
  EXPECT_NE(access((kFolder + "/" + kGangs).c_str(), F_OK), 0);
  EXPECT_EQ(cuStreamSynchronize(stream_), 0);

  simulated::Hold(true);
  EXPECT_EQ(Shares(), 0U);
  EXPECT_EQ(LaunchOn(stream_, simulated::Collective(1)), 0);
  const Slot& slot = SlotIn(kGangs);
  const auto launched = [&slot] { return slot.collectives.load(); };
  EXPECT_NE(slot.gang.load(), 0U);
  EXPECT_NE(slot.busy.load(), 0U);
  EXPECT_EQ(launched(), 1U);
  EXPECT_EQ(Shares(), 10U);
  // It is nobody's setting, which somebody would put back.
  EXPECT_EQ(Weight(), 0);

  // A graph may have some from now on.
  EXPECT_EQ(LaunchOn(stream_, simulated::Kernel(1)), 0);
  EXPECT_EQ(cuGraphLaunch(exec, stream_), 0);
  EXPECT_EQ(launched(), 2U);

  xsched::AnswerRequest({}, "weight chat 7");
  EXPECT_EQ(Shares(), 7U);
  EXPECT_EQ(Weight(), 7);
  // A stream that comes later is the model's, too.
  CUstream other = nullptr;
  EXPECT_EQ(cuStreamCreate(&other, 0), 0);
  EXPECT_EQ(LaunchOn(other, simulated::Collective(1)), 0);
  EXPECT_EQ(launched(), 3U);
  EXPECT_EQ(Shares(), 7U);

  simulated::Hold(false);
  EXPECT_EQ(cuStreamSynchronize(stream_), 0);
  EXPECT_EQ(cuStreamDestroy_v2(other), 0);
}

}  // namespace
