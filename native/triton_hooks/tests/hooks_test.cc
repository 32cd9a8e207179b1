// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Triton's core, as far as it calls backends, with the hooks before it.

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "built_files.h"
#include "contest.h"
#include "fixture.h"
#include "preempt/scheduler.h"
#include "stand_in_triton.h"

namespace {

using stand_in::Backend;
using stand_in::Config;
using stand_in::Instance;
using stand_in::Parameter;
using xsched::QueueReport;
using xsched::Scheduler;

const std::string kWork =
    Parameter("kernels", "3") + "," + Parameter("microseconds", "1");

std::string
ConfigOf(const std::string& priority)
{
  return Config(kWork + "," + Parameter("xsched_priority", priority));
}

class HooksTest : public DriverTest {
 protected:
  void SetUp() override
  {
    DriverTest::SetUp();
    unsetenv("XSCHED_REQUIRED");
    stand_in::TakeLog();
  }

  void TearDown() override
  {
    stand_in::Fail("");
    EXPECT_EQ(XOwnerCurrent(), XOwnerHandle{0});
    EXPECT_EQ(stand_in::LiveObjects(), 0);
    EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
    DriverTest::TearDown();
  }

  // The queues, as "name priority launches", in the order of their ids.
  static std::vector<std::string> Queues()
  {
    std::vector<std::string> queues;
    for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
      queues.push_back(
          queue.name + " " + std::to_string(queue.stats.priority) + " " +
          std::to_string(queue.stats.launches));
    }
    return queues;
  }

  const Backend one_stream_{kOneStream};
  const Backend default_stream_{kDefaultStream};
  const Backend threads_{kThreads};
};

using Lines = std::vector<std::string>;

TEST_F(HooksTest, StreamOfAnInstanceHasItsNameAndPriority)
{
  Instance chat(one_stream_, "chat", ConfigOf("40"));
  EXPECT_EQ(chat.Problem(), "");
  EXPECT_EQ(Queues(), Lines{"chat/chat_0_0 40 0"});
  EXPECT_GE(chat.Execute(), 0);
  EXPECT_EQ(Queues(), Lines{"chat/chat_0_0 40 3"});
  EXPECT_EQ(
      stand_in::TakeLog(),
      Lines{"0: XSched schedules the work of instance chat_0_0 in "
            "this process as 'chat/chat_0_0', with "
            "priority 40"});
}

TEST_F(HooksTest, TheModeIsHooked)
{
  EXPECT_STREQ(Scheduler::Get().ModeName(), "hooked");
}

TEST_F(HooksTest, WorkInTheDefaultStreamIsTheInstances)
{
  Instance batch(default_stream_, "batch", ConfigOf("-100"));
  EXPECT_EQ(Queues(), Lines{});
  EXPECT_GE(batch.Execute(), 0);
  EXPECT_GE(batch.Execute(), 0);
  EXPECT_EQ(Queues(), Lines{"batch/batch_0_0 -100 6"});
}

TEST_F(HooksTest, ThreadsThatABackendStartsWorkForTheirInstance)
{
  Instance pool(threads_, "pool", ConfigOf("max"));
  EXPECT_EQ(Queues(), (Lines{"pool/pool_0_0 255 0", "pool/pool_0_0 255 0"}));
  EXPECT_GE(pool.Execute(), 0);
  EXPECT_EQ(
      Queues(), (Lines{
                    "pool/pool_0_0 255 3", "pool/pool_0_0 255 3",
                    "pool/pool_0_0 255 3"}));
}

// What a process finds in its environment that the calling thread starts.
std::string
VariablesOfAChild(
    const char* command =
        "echo $XSCHED_AUTO_XQUEUE $XSCHED_AUTO_XQUEUE_NAME "
        "$XSCHED_AUTO_XQUEUE_PRIORITY $XSCHED_AUTO_XQUEUE_FLOOR "
        "$XSCHED_AUTO_XQUEUE_WEIGHT $BESIDE")
{
  const char* words[] = {"sh", "-c", command, nullptr};
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execvp("sh", const_cast<char**>(words));
    _exit(1);
  }
  close(ends[1]);
  std::string said;
  char piece[256];
  ssize_t count = 0;
  while ((count = read(ends[0], piece, sizeof(piece))) > 0) {
    said.append(piece, count);
  }
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return said;
}

TEST_F(HooksTest, ProcessesThatABackendStartsBelongToTheirInstance)
{
  setenv("BESIDE", "beside", 1);
  setenv("XSCHED_AUTO_XQUEUE_PRIORITY", "1", 1);
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "chat/chat_0_0", 40), kXSchedSuccess);
  XOwnerExchange(owner);
  EXPECT_EQ(VariablesOfAChild(), "ON chat/chat_0_0 40 0 0 beside\n");
  // As it is now.
  Scheduler::Get().SetPriorityOfOwners(
      [](const std::string&) { return true; }, -7);
  EXPECT_EQ(XOwnerSetFloor(owner, 20), kXSchedSuccess);
  EXPECT_EQ(XOwnerSetWeight(owner, 3), kXSchedSuccess);
  EXPECT_EQ(VariablesOfAChild(), "ON chat/chat_0_0 -7 20 3 beside\n");
  XOwnerExchange(0);
  EXPECT_EQ(VariablesOfAChild(), "1 beside\n");
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
  unsetenv("BESIDE");
  unsetenv("XSCHED_AUTO_XQUEUE_PRIORITY");
}

TEST_F(HooksTest, ProcessesOfAnInstanceAreAGang)
{
  const char* gang = "echo $XSCHED_GANG";
  EXPECT_EQ(VariablesOfAChild(gang), "\n");
  std::vector<std::string> gangs;
  for (const char* instance : {"chat/chat_0_0", "chat/chat_0_1"}) {
    XOwnerHandle owner = 0;
    ASSERT_EQ(XOwnerCreate(&owner, instance, 0), kXSchedSuccess);
    XOwnerExchange(owner);
    gangs.push_back(VariablesOfAChild(gang));
    EXPECT_EQ(gangs.back().rfind(std::string(instance) + ".", 0), 0U)
        << gangs.back();
    // As for the next one of the instance.
    EXPECT_EQ(VariablesOfAChild(gang), gangs.back());
    XOwnerExchange(0);
    EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
  }
  EXPECT_NE(gangs[0], gangs[1]);
}

TEST_F(HooksTest, OneThreadMayExecuteAllInstances)
{
  Instance chat(one_stream_, "chat", ConfigOf("40"));
  Instance batch(default_stream_, "batch", ConfigOf("-100"));
  Instance other(default_stream_, "other", ConfigOf("7"));
  for (int round = 0; round < 3; ++round) {
    chat.Execute();
    batch.Execute();
    other.Execute();
  }
  EXPECT_EQ(
      Queues(), (Lines{
                    "chat/chat_0_0 40 9", "batch/batch_0_0 -100 9",
                    "other/other_0_0 7 9"}));
}

TEST_F(HooksTest, PriorityIsTheParameterElseTritons)
{
  const struct {
    std::string config;
    int priority;
  } kCases[] = {
      {Config(kWork), 0},
      {Config(kWork, "MAX"), 255},
      {Config(kWork, "MIN"), -255},
      {Config(kWork + "," + Parameter("xsched_priority", "3"), "MAX"), 3},
      {Config(kWork + "," + Parameter("xsched_priority", "default"), "MIN"), 0},
      {R"({"parameters":{)" + kWork + "}}", 0},
  };
  for (const auto& each : kCases) {
    const Instance instance(one_stream_, "m", each.config);
    EXPECT_EQ(instance.Problem(), "");
    EXPECT_EQ(
        Queues(), Lines{"m/m_0_0 " + std::to_string(each.priority) + " 0"})
        << each.config;
  }
}

TEST_F(HooksTest, ABadPriorityFailsTheLoadAndTheBackendIsNotAsked)
{
  const Instance instance(one_stream_, "m", ConfigOf("urgent"));
  EXPECT_EQ(
      instance.Problem(),
      "3: model parameter 'xsched_priority' is 'urgent', but must be an "
      "integer from -255 to 255, 'max', 'default' or 'min'");
  EXPECT_EQ(instance.state, nullptr);
  EXPECT_EQ(Queues(), Lines{});
}

TEST_F(HooksTest, FloorIsThatOfTheModel)
{
  const auto config = [](const std::string& floor) {
    return Config(kWork + "," + Parameter("xsched_floor", floor));
  };
  const auto floors = [] {
    std::vector<int> floors;
    for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
      floors.push_back(queue.floor);
    }
    return floors;
  };
  const Instance first(one_stream_, "m", config("20"));
  EXPECT_EQ(first.Problem(), "");
  EXPECT_EQ(floors(), (std::vector<int>{20}));
  EXPECT_EQ(
      stand_in::TakeLog(),
      Lines{"0: XSched schedules the work of instance m_0_0 in this process as "
            "'m/m_0_0', with priority 0 and a floor of 20 %"});
  // The instances of a new state come before those of the former go.
  const Instance second(one_stream_, "m", config("30"));
  EXPECT_EQ(floors(), (std::vector<int>{30, 30}));
  const Instance other(one_stream_, "n", config("50"));
  EXPECT_EQ(floors(), (std::vector<int>{30, 30, 50}));
  const Instance third(one_stream_, "m", Config(kWork));
  EXPECT_EQ(floors(), (std::vector<int>{0, 0, 50, 0}));
}

TEST_F(HooksTest, ABadFloorFailsTheLoad)
{
  for (const char* floor : {"51", "-1", "10%", ""}) {
    const Instance instance(
        one_stream_, "m",
        Config(kWork + "," + Parameter("xsched_floor", floor)));
    EXPECT_EQ(
        instance.Problem(),
        std::string("3: model parameter 'xsched_floor' is '") + floor +
            "', but must be an integer from 0 to 50, in percent of the GPU's "
            "time");
    EXPECT_EQ(Queues(), Lines{});
  }
}

TEST_F(HooksTest, WeightIsThatOfTheModel)
{
  const auto config = [](const std::string& parameters) {
    return Config(kWork + "," + parameters);
  };
  const auto weights = [] {
    std::vector<int> weights;
    for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
      weights.push_back(queue.weight);
    }
    return weights;
  };
  const Instance first(
      one_stream_, "m", config(Parameter("xsched_weight", "3")));
  EXPECT_EQ(first.Problem(), "");
  EXPECT_EQ(weights(), (std::vector<int>{3}));
  EXPECT_EQ(
      stand_in::TakeLog(),
      Lines{"0: XSched schedules the work of instance m_0_0 in this process as "
            "'m/m_0_0', with priority 0 and weight 3"});
  const Instance second(
      one_stream_, "m",
      config(
          Parameter("xsched_weight", "100") + "," +
          Parameter("xsched_floor", "20")));
  EXPECT_EQ(weights(), (std::vector<int>{100, 100}));
  EXPECT_EQ(
      stand_in::TakeLog(),
      Lines{"0: XSched schedules the work of instance m_0_0 in this process as "
            "'m/m_0_0', with priority 0, a floor of 20 % and weight 100"});
  const Instance third(one_stream_, "m", Config(kWork));
  EXPECT_EQ(weights(), (std::vector<int>{0, 0, 0}));
}

TEST_F(HooksTest, ABadWeightFailsTheLoad)
{
  for (const char* weight : {"101", "-1", "3:1", ""}) {
    const Instance instance(
        one_stream_, "m",
        Config(kWork + "," + Parameter("xsched_weight", weight)));
    EXPECT_EQ(
        instance.Problem(),
        std::string("3: model parameter 'xsched_weight' is '") + weight +
            "', but must be an integer from 0 (none) to 100");
    EXPECT_EQ(Queues(), Lines{});
  }
}

TEST_F(HooksTest, NothingIsLeftOfAnInstanceThatCannotBeInitialized)
{
  for (int i = 0; i < 3; ++i) {
    const Instance instance(
        one_stream_, "m", Config(kWork + "," + Parameter("fail", "yes")));
    EXPECT_EQ(instance.Problem(), "1: failed as it was told");
    // The stream that it leaves behind is not the scheduler's any more, once
    // Triton has finalized the instance.
    EXPECT_EQ(Queues(), Lines{"m/m_0_0 0 0"});
  }
  EXPECT_EQ(Queues(), Lines{});
}

TEST_F(HooksTest, FaultsOfTheHooksLeaveTheModelUnscheduled)
{
  for (const char* function :
       {"TRITONBACKEND_ModelInstanceModel", "TRITONBACKEND_ModelInstanceName",
        "TRITONBACKEND_ModelName", "TRITONBACKEND_ModelInstanceKind"}) {
    stand_in::Fail(function);
    stand_in::TakeLog();
    // A backend that does not need these functions by itself.
    const Backend backend(kOnlyExecute);
    Instance instance(backend, "m", ConfigOf("40"));
    EXPECT_EQ(instance.Problem(), "") << function;
    EXPECT_EQ(instance.Execute(), -1);
    const Lines log = stand_in::TakeLog();
    EXPECT_EQ(Scheduler::Get().Unscheduled(), 1);
    ASSERT_FALSE(log.empty());
    EXPECT_NE(
        log.back().find(
            std::string(function) +
            " failed (XSCHED_REQUIRED is not ON: the model runs "
            "unscheduled)"),
        std::string::npos)
        << log.back();
    setenv("XSCHED_REQUIRED", "ON", 1);
    const Instance refused(backend, "m", ConfigOf("40"));
    EXPECT_EQ(refused.Problem().substr(0, 3), "4: ") << refused.Problem();
    EXPECT_NE(
        refused.Problem().find(
            "(XSCHED_REQUIRED=ON: the model is not loaded unscheduled)"),
        std::string::npos);
    unsetenv("XSCHED_REQUIRED");
    // One that is refused does not run.
    EXPECT_EQ(Scheduler::Get().Unscheduled(), 1);
  }
  EXPECT_EQ(Scheduler::Get().Unscheduled(), 0);
}

TEST_F(HooksTest, AnAnswerThatIsNotUnderstoodLeavesTheModelUnscheduled)
{
  const Backend backend(kOnlyExecute);
  for (const char* config : {"", "{", R"({"optimization":{"priority":"X"}})"}) {
    const Instance instance(backend, "m", config);
    EXPECT_EQ(instance.Problem(), "") << config;
    EXPECT_NE(
        stand_in::TakeLog().back().find("the model runs unscheduled"),
        std::string::npos)
        << config;
  }
}

TEST_F(HooksTest, TheLogMayFail)
{
  stand_in::Fail("TRITONSERVER_LogMessage");
  const Instance instance(one_stream_, "m", ConfigOf("1"));
  EXPECT_EQ(instance.Problem(), "");
}

TEST_F(HooksTest, WhatIsRequiredMustBeSaidProperly)
{
  setenv("XSCHED_REQUIRED", "maybe", 1);
  const Instance instance(one_stream_, "m", ConfigOf("1"));
  EXPECT_EQ(
      instance.Problem(),
      "3: environment variable XSCHED_REQUIRED is 'maybe', but must be ON or "
      "OFF");
  unsetenv("XSCHED_REQUIRED");
}

// Triton requires only one of the functions.
TEST_F(HooksTest, ABackendNeedNotHaveAllFunctions)
{
  const Backend backend(kOnlyExecute);
  for (int round = 0; round < 100; ++round) {
    Instance instance(backend, "m", ConfigOf("40"), stand_in::kGpu);
    EXPECT_EQ(instance.Problem(), "");
    EXPECT_EQ(instance.Execute(), -1);
  }
  // Its owners are gone, too: there is room for as many as there may be.
  std::vector<XOwnerHandle> owners;
  XOwnerHandle owner = 0;
  while (XOwnerCreate(&owner, "", 0) == kXSchedSuccess) {
    owners.push_back(owner);
  }
  EXPECT_EQ(owners.size(), 16384U);
  {
    Instance instance(backend, "m", ConfigOf("40"));
    EXPECT_EQ(instance.Problem(), "");
    EXPECT_NE(
        stand_in::TakeLog().back().find("no place for another instance"),
        std::string::npos);
    EXPECT_EQ(instance.Execute(), -1);
  }
  for (const XOwnerHandle each : owners) {
    EXPECT_EQ(XOwnerDestroy(each), kXSchedSuccess);
  }
}

TEST_F(HooksTest, AnInstanceThatTheHooksDoNotKnowIsExecuted)
{
  Instance chat(one_stream_, "chat", ConfigOf("40"));
  const Backend unused(kOneStream);
  Instance unknown(unused, "unknown", ConfigOf("40"));
  // As if it had not been initialized.
  one_stream_.finalize(unknown.Handle());
  unknown.state = chat.state;
  EXPECT_GE(unknown.Execute(), 0);
  unknown.state = nullptr;
  EXPECT_EQ(Queues(), Lines{"chat/chat_0_0 40 3"});
}

// --- whose turn it is ------------------------------------------------------------

// Two models that have much to do; the second comes while the first is at work.
// A third, above both, has nothing to do: see ContestTest in the core's tests.
class ModelsTest
    : public HooksTest,
      public testing::WithParamInterface<std::pair<const char*, const char*>> {
 protected:
  static contest::Runs Compete(
      const std::string& first_priority, const std::string& second_priority)
  {
    const Backend one_stream(kOneStream);
    const Backend backend_of_first(GetParam().first);
    const Backend backend_of_second(GetParam().second);
    const auto config = [](uint64_t microseconds, const std::string& priority) {
      return Config(
          Parameter("kernels", std::to_string(contest::kKernels)) + "," +
          Parameter("microseconds", std::to_string(microseconds)) + "," +
          Parameter("xsched_priority", priority));
    };
    const Instance third(one_stream, "third", ConfigOf("max"));
    Instance first(
        backend_of_first, "first",
        config(contest::kFirstMicroseconds, first_priority));
    Instance second(
        backend_of_second, "second",
        config(contest::kSecondMicroseconds, second_priority));
    contest::Runs runs;
    std::thread one([&] { EXPECT_GE(first.Execute(), 0); });
    while (!runs.FirstIsAtWork()) {
      std::this_thread::yield();
      runs.Take();
    }
    std::thread other([&] {
      runs.SecondComes();
      EXPECT_GE(second.Execute(), 0);
    });
    one.join();
    other.join();
    runs.Take();
    return runs;
  }
};

TEST_P(ModelsTest, TheHigherPreemptsTheLower)
{
  contest::Expect(
      &contest::Runs::SecondPreempted, [] { return Compete("-100", "100"); });
}

TEST_P(ModelsTest, TheLowerIsHeldWhileTheHigherWorks)
{
  contest::Expect(
      &contest::Runs::SecondWasHeld, [] { return Compete("100", "-100"); });
}

TEST_P(ModelsTest, EqualsShare)
{
  contest::Expect(
      &contest::Runs::BothTookTurns, [] { return Compete("7", "7"); });
}

TEST_P(ModelsTest, UnscheduledNobodyWaits)
{
  stand_in::Fail("TRITONBACKEND_ModelInstanceName");
  contest::Expect(
      &contest::Runs::NobodyWaited, [] { return Compete("-100", "100"); });
}

const char*
WhereIsItsWork(const std::string& backend)
{
  return backend == kDefaultStream ? "Default" : "Own";
}

INSTANTIATE_TEST_SUITE_P(
    FirstAndSecond, ModelsTest,
    testing::Values(
        std::make_pair(kDefaultStream, kOneStream),
        std::make_pair(kOneStream, kDefaultStream),
        std::make_pair(kDefaultStream, kDefaultStream)),
    [](const auto& info) {
      return std::string(WhereIsItsWork(info.param.first)) + "And" +
             WhereIsItsWork(info.param.second);
    });

// The share of the device's time, in percent, that the two instances of a model
// get together with this floor, while two of an urgent one always have work.
double
ShareWith(const std::string& floor)
{
  constexpr uint64_t kLowMicroseconds = 201;
  constexpr uint64_t kHighMicroseconds = 200;
  constexpr uint64_t kMeasuredMicroseconds = 400000;
  const auto config = [](uint64_t microseconds, const std::string& priority,
                         const std::string& floor) {
    return Config(
        Parameter("kernels", "10") + "," +
        Parameter("microseconds", std::to_string(microseconds)) + "," +
        Parameter("xsched_priority", priority) + "," +
        Parameter("xsched_floor", floor));
  };
  const Backend backend(kOneStream);
  simulated::TakeRuns();
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Instance>> instances;
  std::vector<std::thread> threads;
  for (const char* name : {"0", "1"}) {
    instances.push_back(std::make_unique<Instance>(
        backend, "high", config(kHighMicroseconds, "max", "0"), stand_in::kCpu,
        std::string("high_") + name));
    instances.push_back(std::make_unique<Instance>(
        backend, "low", config(kLowMicroseconds, "min", floor), stand_in::kCpu,
        std::string("low_") + name));
  }
  for (const auto& instance : instances) {
    threads.emplace_back([&stop, &instance] {
      while (!stop.load()) {
        EXPECT_GE(instance->Execute(), 0);
      }
    });
  }
  uint64_t low = 0;
  uint64_t high = 0;
  while (low + high < kMeasuredMicroseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (const simulated::Execution& run : simulated::TakeRuns()) {
      const uint64_t microseconds =
          reinterpret_cast<uint64_t>(run.function) & 0xFFFFFFFF;
      (microseconds == kLowMicroseconds ? low : high) += microseconds;
    }
  }
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  return 100. * static_cast<double>(low) / static_cast<double>(low + high);
}

// On a busy machine, either side's threads may not come to launch: then it is
// tried again.
void
ExpectShare(const std::string& floor, double least, double most)
{
  constexpr int kTries = 10;
  std::string shares;
  for (int i = 0; i < kTries; ++i) {
    const double share = ShareWith(floor);
    if (share >= least && share <= most) {
      return;
    }
    shares += " " + std::to_string(share);
  }
  ADD_FAILURE() << "with a floor of " << floor << ":" << shares;
}

TEST_F(HooksTest, ModelWithoutAFloorGetsNextToNothingBelowABusyOne)
{
  ExpectShare("0", 0, 10);
}

// Two instances: each with a floor of its own would get 60 %.
TEST_F(HooksTest, InstancesOfAModelGetItsFloorTogether)
{
  ExpectShare("30", 15, 45);
}

// --- the functions that the library stands in front of ---------------------------

TEST_F(HooksTest, OtherSymbolsAreFoundAsEver)
{
  // The caller's library decides what comes next.
  EXPECT_EQ(dlsym(RTLD_NEXT, "no_such_symbol"), nullptr);
  const char* const error = dlerror();
  ASSERT_NE(error, nullptr);
  EXPECT_NE(std::string(error).find("no_such_symbol"), std::string::npos);
  EXPECT_EQ(
      dlsym(RTLD_DEFAULT, "TRITONBACKEND_ModelInstanceName"),
      dlsym(RTLD_DEFAULT, "TRITONBACKEND_ModelInstanceName"));
  EXPECT_NE(dlsym(RTLD_DEFAULT, "TRITONBACKEND_ModelInstanceName"), nullptr);
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "Tcl_NoSuchFunction"), nullptr);
  // Not a backend.
  void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  EXPECT_EQ(dlsym(driver, "TRITONBACKEND_ModelInstanceExecute"), nullptr);
  EXPECT_NE(dlerror(), nullptr);
  EXPECT_EQ(dlsym(driver, "TRITONBACKEND_ModelInstanceInitialize"), nullptr);
  EXPECT_NE(dlerror(), nullptr);
  dlclose(driver);
  // A backend's other functions are its own.
  EXPECT_EQ(
      dlsym(one_stream_.library, "TRITONBACKEND_ModelInstanceReady"), nullptr);
  EXPECT_NE(dlerror(), nullptr);
}

// The next after the library that asks, not after the hooks.
TEST_F(HooksTest, NextMeansAfterTheCallersLibrary)
{
  const auto next = reinterpret_cast<const char* (*)()>(
      dlsym(dlopen(kAsksForNext, RTLD_NOW), "next_of_asker"));
  ASSERT_NE(next, nullptr);
  EXPECT_STREQ(next(), "of the library behind the asker");
}

TEST_F(HooksTest, BackendsMayComeAndGoWithoutEnd)
{
  namespace fs = std::filesystem;
  const fs::path folder =
      fs::temp_directory_path() / ("hooks-" + std::to_string(getpid()));
  fs::create_directory(folder);
  const auto copy = [&](int number) {
    const fs::path path = folder / (std::to_string(number) + ".so");
    fs::copy_file(kOnlyExecute, path);
    return path.string();
  };
  std::vector<std::unique_ptr<Backend>> backends;
  const auto works = [&](const Backend& backend) {
    Instance instance(backend, "m", ConfigOf("40"));
    return instance.Problem().empty() && instance.Execute() == -1;
  };
  // Three are there already, and those of earlier tests are not.
  for (int number = 0; number < 1030; ++number) {
    backends.push_back(std::make_unique<Backend>(copy(number)));
    EXPECT_TRUE(works(*backends.back()));
  }
  std::set<void*> functions;
  for (const auto& backend : backends) {
    functions.insert(reinterpret_cast<void*>(backend->execute));
  }
  EXPECT_EQ(functions.size(), backends.size());
  // The last ones are called directly, and count as unscheduled.
  EXPECT_GT(Scheduler::Get().Unscheduled(), 0);
  EXPECT_NE(
      stand_in::TakeLog().back().find(" run unscheduled"), std::string::npos);
  backends.resize(500);
  for (int number = 2000; number < 2500; ++number) {
    backends.push_back(std::make_unique<Backend>(copy(number)));
    EXPECT_TRUE(works(*backends.back()));
    EXPECT_EQ(
        stand_in::TakeLog().back(),
        "0: XSched schedules the work of instance m_0_0 in this process as "
        "'m/m_0_0', with priority 40");
  }
  backends.clear();
  fs::remove_all(folder);
  XUnscheduledAdd(-Scheduler::Get().Unscheduled());
}

TEST_F(HooksTest, AThreadThatCannotBeStartedLeavesNothing)
{
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "owner", 0), kXSchedSuccess);
  XOwnerExchange(owner);
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, size_t{1} << 46), 0);
  pthread_t thread;
  EXPECT_NE(
      pthread_create(
          &thread, &attributes, [](void*) -> void* { return nullptr; },
          nullptr),
      0);
  EXPECT_EQ(pthread_attr_destroy(&attributes), 0);
  // One that can has the owner, its argument and its result.
  XOwnerHandle seen = 0;
  ASSERT_EQ(
      pthread_create(
          &thread, nullptr,
          [](void* argument) -> void* {
            *static_cast<XOwnerHandle*>(argument) = XOwnerCurrent();
            return argument;
          },
          &seen),
      0);
  void* result = nullptr;
  ASSERT_EQ(pthread_join(thread, &result), 0);
  EXPECT_EQ(seen, owner);
  EXPECT_EQ(result, &seen);
  XOwnerExchange(0);
  std::thread([&] { seen = XOwnerCurrent(); }).join();
  EXPECT_EQ(seen, XOwnerHandle{0});
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
}

TEST_F(HooksTest, ModelsAreExecutedWhileOthersComeAndGo)
{
  Instance chat(one_stream_, "chat", ConfigOf("40"));
  Instance batch(default_stream_, "batch", ConfigOf("-100"));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (Instance* instance : {&chat, &batch}) {
    threads.push_back(InContext([&stop, instance] {
      while (!stop.load()) {
        EXPECT_GE(instance->Execute(), 0);
      }
    }));
  }
  threads.push_back(InContext([&] {
    for (int round = 0; round < 50; ++round) {
      Instance other(threads_, "other", ConfigOf("7"));
      EXPECT_GE(other.Execute(), 0);
    }
  }));
  for (int round = 0; round < 50; ++round) {
    Instance other(default_stream_, "another", ConfigOf("7"));
    EXPECT_GE(other.Execute(), 0);
  }
  threads.back().join();
  threads.pop_back();
  stop.store(true);
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
