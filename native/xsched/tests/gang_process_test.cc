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
    // Not closed: that would give up this process's lock.
    const int fd = open((kFolder + "/gangs").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    shared_ = static_cast<const Layout*>(
        mmap(nullptr, sizeof(Layout), PROT_READ, MAP_SHARED, fd, 0));
  }
  void TearDown() override
  {
    EXPECT_EQ(cuStreamDestroy_v2(stream_), 0);
    DriverTest::TearDown();
    for (const char* file :
         {"/gangs", "/gpu-01000000000000000000000000000000"}) {
      EXPECT_EQ(unlink((kFolder + file).c_str()), 0);
    }
    EXPECT_EQ(rmdir(kFolder.c_str()), 0);
  }

  uint64_t Launched() const { return shared_->slots[0].collectives.load(); }
  static int Weight() { return Scheduler::Get().ReportAll().front().weight; }

  CUstream stream_ = nullptr;
  const Layout* shared_ = nullptr;
};

TEST_F(GangProcessTest, TheFirstCollectiveGivesTheModelAWeight)
{
  EXPECT_NE(shared_->slots[0].gang.load(), 0U);
  // Of the simulated driver's.
  const auto exec = reinterpret_cast<CUgraphExec>(simulated::Kernel(1, 7));

  EXPECT_EQ(LaunchOn(stream_, simulated::Kernel(1)), 0);
  EXPECT_EQ(cuGraphLaunch(exec, stream_), 0);
  EXPECT_EQ(Launched(), 0U);
  EXPECT_EQ(Weight(), 0);

  EXPECT_EQ(LaunchOn(stream_, simulated::Collective(1)), 0);
  EXPECT_EQ(Launched(), 1U);
  EXPECT_EQ(Weight(), 10);

  // A graph may have some from now on.
  EXPECT_EQ(LaunchOn(stream_, simulated::Kernel(1)), 0);
  EXPECT_EQ(cuGraphLaunch(exec, stream_), 0);
  EXPECT_EQ(Launched(), 2U);

  // Whoever wants it to have none has said so.
  xsched::AnswerRequest({}, "weight chat 0");
  EXPECT_EQ(LaunchOn(stream_, simulated::Collective(1)), 0);
  EXPECT_EQ(Launched(), 3U);
  EXPECT_EQ(Weight(), 0);

  EXPECT_EQ(cuStreamSynchronize(stream_), 0);
}

}  // namespace
