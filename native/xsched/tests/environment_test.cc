// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What the environment's variables do, and what is said about those that do
// nothing. Each case is a process of its own, as they are read once.

#include <gtest/gtest.h>

#include <string>

#include "built_files.h"
#include "run_command.h"

namespace {

// What a process with these variables has in its log.
std::string
LogWith(const std::string& variables)
{
  return RunCommand(
      "env -i XSCHED_CUDA_LIB=" + std::string(kSimulatedDriver) +
      " XSCHED_CONTROL=OFF " + variables + " " + ProbeCommand());
}

void
ExpectWarning(const std::string& variables, const std::string& warning)
{
  const std::string log = LogWith(variables);
  EXPECT_EQ(CountIn(log, "WARN"), 1) << log;
  EXPECT_EQ(CountIn(log, "[xsched WARN] " + warning + "\n"), 1) << log;
}

TEST(EnvironmentTest, WhatHasAMeaningIsNotWarnedOf)
{
  const std::string log = LogWith(
      "XSCHED_POLICY=HPF XSCHED_SCHEDULER=LCL XSCHED_AUTO_XQUEUE=ON "
      "XSCHED_AUTO_XQUEUE_LEVEL=2 XSCHED_AUTO_XQUEUE_PRIORITY=-256 "
      "XSCHED_AUTO_XQUEUE_NAME=chat/0 XSCHED_AUTO_XQUEUE_FLOOR=50 "
      "XSCHED_AUTO_XQUEUE_WEIGHT=100 "
      "XSCHED_AUTO_XQUEUE_THRESHOLD=16 XSCHED_AUTO_XQUEUE_BATCH_SIZE=8 "
      "XSCHED_INFLIGHT_US=100 XSCHED_RUN_AHEAD=64 XSCHED_LOG_LEVEL=INFO XSCHED_REQUIRED=ON "
      "XSCHED_CONTROL_DIR=/tmp XSCHED_METRICS_INTERVAL_MS=1000 "
      "XSCHED_TRITON_VARIANT=patched");
  EXPECT_EQ(CountIn(log, "WARN"), 0) << log;
  EXPECT_EQ(CountIn(log, "policy HPF, mode transparent"), 1) << log;
}

TEST(EnvironmentTest, NameThatIsNoneIsNamed)
{
  ExpectWarning(
      "XSCHED_AUTO_XQUEUE_NAME=" + std::string(64, 'x'),
      "XSCHED_AUTO_XQUEUE_NAME is ignored: a name has at most 63 bytes and no "
      "control characters");
}

TEST(EnvironmentTest, FloorOrWeightOfNobodyIsNamed)
{
  for (const std::string what : {"FLOOR", "WEIGHT"}) {
    ExpectWarning(
        "XSCHED_AUTO_XQUEUE_" + what + "=20",
        "XSCHED_AUTO_XQUEUE_" + what +
            " is ignored: it needs a name, which XSCHED_AUTO_XQUEUE_NAME "
            "gives");
  }
}

TEST(EnvironmentTest, EachVariableOfXSchedWithoutMeaningIsNamed)
{
  ExpectWarning(
      "XLOG_LEVEL=DEBG", "XLOG_LEVEL is ignored: use XSCHED_LOG_LEVEL");
  for (const char* name :
       {"XSCHED_AUTO_XQUEUE_DEADLINE", "XSCHED_AUTO_XQUEUE_KDEADLINE"}) {
    ExpectWarning(
        name + std::string("=1"),
        name + std::string(" is ignored: no policy here knows deadlines"));
  }
  ExpectWarning(
      "XSCHED_AUTO_XQUEUE_LAXITY=1",
      "XSCHED_AUTO_XQUEUE_LAXITY is ignored: no policy here knows laxity");
  ExpectWarning(
      "XSCHED_AUTO_XQUEUE_TIMESLICE=100",
      "XSCHED_AUTO_XQUEUE_TIMESLICE is ignored: no policy here has time "
      "slices");
  ExpectWarning(
      "XSCHED_AUTO_XQUEUE_UTILIZATION=50",
      "XSCHED_AUTO_XQUEUE_UTILIZATION is ignored: no policy here shares by "
      "utilization");
  for (const char* name :
       {"XSCHED_SCHEDULER_SUSPEND_SYNC_HWQ",
        "XSCHED_SCHEDULER_SUSPEND_WAIT_ALL",
        "XSCHED_SCHEDULER_SUSPEND_WAIT_IDLE"}) {
    ExpectWarning(
        name + std::string("=ON"),
        name +
            std::string(" is ignored: to hold a queue back, nothing is waited "
                        "for"));
  }
  ExpectWarning(
      "XSCHED_CUDA_LV3_IMPL=TSG",
      "XSCHED_CUDA_LV3_IMPL is ignored: preemption level 3 is not supported");
  ExpectWarning(
      "XSCHED_CUDA_SINGLE_STREAM_PER_PROCESS=ON",
      "XSCHED_CUDA_SINGLE_STREAM_PER_PROCESS is ignored: streams stay as the "
      "application makes them");
  ExpectWarning(
      "XSCHED_CUDART_LIB=x",
      "XSCHED_CUDART_LIB is ignored: CUDA's runtime is not used");
  ExpectWarning(
      "XSCHED_CUPTI_LIB=x", "XSCHED_CUPTI_LIB is ignored: CUPTI is not used");
  ExpectWarning(
      "XSCHED_POLICE=HPF",
      "XSCHED_POLICE is ignored: there is no such setting");
}

TEST(EnvironmentTest, ValuesThatAreNotSupportedAreNamed)
{
  ExpectWarning(
      "XSCHED_AUTO_XQUEUE_LEVEL=3",
      "XSCHED_AUTO_XQUEUE_LEVEL=3 is not supported (1, 2); using 2");
  ExpectWarning(
      "XSCHED_AUTO_XQUEUE_LEVEL=4",
      "XSCHED_AUTO_XQUEUE_LEVEL=4 is not an integer from 1 to 3; ignored");
  ExpectWarning(
      "XSCHED_SCHEDULER=XXX",
      "XSCHED_SCHEDULER=XXX is not supported (APP, GLB, LCL); using LCL");
  ExpectWarning(
      "XSCHED_POLICY=CFS",
      "XSCHED_POLICY=CFS is not supported (HPF); using "
      "HPF");
}

TEST(EnvironmentTest, APolicyIsForTheProcessItself)
{
  EXPECT_EQ(CountIn(LogWith("XSCHED_SCHEDULER=app"), "policy APP,"), 1);
  for (const char* policy : {"HPF", "hpf"}) {
    const std::string variables =
        std::string("XSCHED_SCHEDULER=APP XSCHED_POLICY=") + policy;
    ExpectWarning(
        variables,
        "XSCHED_SCHEDULER=APP is ignored: with XSCHED_POLICY the process "
        "schedules itself (LCL)");
    EXPECT_EQ(CountIn(LogWith(variables), "policy HPF,"), 1);
  }
}

}  // namespace

int
main(int argc, char** argv)
{
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
