// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Another library stands in front of the same functions, behind the hooks, as
// one of /etc/ld.so.preload does.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "built_files.h"
#include "stand_in_triton.h"
#include "xsched/ext.h"

extern "C" {
int other_lookups();
int other_threads();
}

namespace {

using stand_in::Backend;
using stand_in::Config;
using stand_in::Instance;

TEST(InterposersTest, BothAreAsked)
{
  const int lookups = other_lookups();
  const Backend backend(kOnlyExecute);
  EXPECT_GT(other_lookups(), lookups);
  stand_in::TakeLog();
  Instance instance(backend, "m", Config(""));
  EXPECT_EQ(instance.Problem(), "");
  EXPECT_EQ(
      stand_in::TakeLog().back(),
      "0: XSched schedules the work of instance m_0_0 in this process as "
      "'m/m_0_0', with priority 0");
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "owner", 0), kXSchedSuccess);
  XOwnerExchange(owner);
  const int threads = other_threads();
  XOwnerHandle seen = 0;
  std::thread([&] { seen = XOwnerCurrent(); }).join();
  EXPECT_EQ(seen, owner);
  EXPECT_EQ(other_threads(), threads + 1);
  XOwnerExchange(0);
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
}

}  // namespace
