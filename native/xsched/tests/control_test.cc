// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The control socket of this process, by hand and with xsched-ctl.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "built_files.h"
#include "control/child_process.h"
#include "control/file_descriptor.h"
#include "control/listener.h"
#include "control/protocol.h"
#include "control/raw_client.h"
#include "control/server.h"
#include "fixture.h"
#include "sanitizers.h"

namespace {

using simulated::Kernel;
using xsched::AnswerTable;
using xsched::FileDescriptor;
using xsched::Listener;
using xsched::ParseAnswer;
using xsched::ParsedAnswer;
using xsched::Server;

const TestFolder&
Folder()
{
  static const TestFolder folder;
  return folder;
}

// Before anything reads the environment.
const int kEnvironment =
    setenv("XSCHED_CONTROL", "ON", 1) |
    setenv("XSCHED_CONTROL_DIR", Folder().Path().c_str(), 1);

class ControlTest : public DriverTest {
 protected:
  void SetUp() override
  {
    ASSERT_EQ(kEnvironment, 0);
    DriverTest::SetUp();
  }

  static std::string Socket()
  {
    return Folder() / (std::to_string(getpid()) + ".sock");
  }

  // A request that is expected to be fulfilled.
  static AnswerTable Table(const std::string& request)
  {
    const std::string text = AskRaw(Socket(), request + "\n");
    const ParsedAnswer answer = ParseAnswer(text);
    EXPECT_EQ(answer.kind, ParsedAnswer::Kind::kTable) << text;
    return answer.table;
  }

  static std::string Error(const std::string& request)
  {
    const std::string text = AskRaw(Socket(), request + "\n");
    const ParsedAnswer answer = ParseAnswer(text);
    EXPECT_EQ(answer.kind, ParsedAnswer::Kind::kError) << text;
    return answer.error;
  }

  static std::string IdOf(const std::string& name)
  {
    return FieldOf(name, "id");
  }

  static std::string FieldOf(const std::string& name, const std::string& column)
  {
    const AnswerTable queues = Table("queues");
    for (size_t row = 0; row < queues.Rows(); ++row) {
      if (queues.Field(row, "name") == name) {
        return queues.Field(row, column);
      }
    }
    return "(no queue " + name + ")";
  }

  static void ExpectItAnswers() { EXPECT_EQ(Table("status").Rows(), 1u); }
};

// The folder in /proc of the thread that serves.
std::string
ControlTask()
{
  for (const std::string& task : FilesIn("/proc/self/task")) {
    const std::string folder = "/proc/self/task/" + task;
    if (ReadFile(folder + "/comm") == "xsched-control\n") {
      return folder;
    }
  }
  return "";
}

// The time that a thread has run, in hundredths of a second.
long long
TicksOf(const FileDescriptor& stat)
{
  char text[1024] = {};
  EXPECT_GT(pread(stat.Get(), text, sizeof(text) - 1, 0), 0);
  long long user = 0;
  long long system = 0;
  EXPECT_EQ(
      sscanf(
          strrchr(text, ')') + 1,
          " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user,
          &system),
      2);
  return user + system;
}

class NamedStream : public TestStream {
 public:
  NamedStream(Priority priority, const std::string& name) : TestStream(priority)
  {
    EXPECT_EQ(XQueueSetName(Queue(), name.c_str()), kXSchedSuccess);
  }
};

TEST_F(ControlTest, StatusSaysWhatTheProcessRunsWith)
{
  const AnswerTable status = Table("status");
  ASSERT_EQ(status.Rows(), 1u);
  EXPECT_EQ(status.Field(0, "pid"), std::to_string(getpid()));
  EXPECT_EQ(status.Field(0, "driver"), kSimulatedDriver);
  EXPECT_EQ(status.Field(0, "policy"), "HPF");
  EXPECT_EQ(status.Field(0, "scheduler"), "LCL");
  EXPECT_EQ(status.Field(0, "mode"), "explicit");
  EXPECT_EQ(status.Field(0, "in_flight_limit_us"), "150");
  EXPECT_EQ(status.Field(0, "scheduled"), "yes");
  EXPECT_EQ(status.Field(0, "problem"), "");
}

TEST_F(ControlTest, StatusFollowsTheScheduler)
{
  ASSERT_EQ(
      XHintSetScheduler(kSchedulerAppManaged, kPolicyUnknown), kXSchedSuccess);
  EXPECT_EQ(Table("status").Field(0, "scheduled"), "no");
  EXPECT_EQ(Table("status").Field(0, "scheduler"), "APP");
  EXPECT_EQ(RunTool({"status"}, {}).code, 1);
  ASSERT_EQ(
      XHintSetScheduler(kSchedulerLocal, kPolicyHighestPriorityFirst),
      kXSchedSuccess);
  EXPECT_EQ(Table("status").Field(0, "scheduled"), "yes");
  EXPECT_EQ(RunTool({"status"}, {}).code, 0);
}

TEST_F(ControlTest, IdsAreNeverUsedAgain)
{
  long long last = 0;
  for (int i = 0; i < 5; ++i) {
    const NamedStream queue(0, "one");
    const long long id = atoll(IdOf("one").c_str());
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST_F(ControlTest, FloorsAreShownAndChanged)
{
  const NamedStream one(3, "chat/0");
  const NamedStream other(3, "chat/1");
  const NamedStream third(0, "batch/0");
  EXPECT_EQ(FieldOf("chat/0", "floor"), "0");
  EXPECT_EQ(FieldOf("chat/0", "used"), "");
  const Finished list = RunTool({"list"}, {});
  EXPECT_NE(list.output.find("FLOOR"), std::string::npos) << list.output;
  // A model's queues share it, whichever of them is named.
  const Finished changed = RunTool({"floor", "chat/1", "25"}, {});
  EXPECT_EQ(changed.code, 0) << changed.errors;
  EXPECT_NE(changed.output.find("25 %"), std::string::npos) << changed.output;
  EXPECT_NE(changed.output.find("chat/0"), std::string::npos) << changed.output;
  EXPECT_EQ(FieldOf("chat/0", "floor"), "25");
  EXPECT_EQ(FieldOf("chat/1", "floor"), "25");
  EXPECT_EQ(FieldOf("chat/0", "used"), "0.0");
  EXPECT_EQ(FieldOf("batch/0", "floor"), "0");
  EXPECT_NE(
      RunTool({"list"}, {}).output.find("0.0 of 25 %"), std::string::npos);
  EXPECT_NE(
      RunTool({"stats", "--json"}, {})
          .output.find("\"floor_percent\": 25, \"used_percent\": 0.0"),
      std::string::npos);
  // One that comes later has a part in it, too.
  const NamedStream late(3, "chat/2");
  EXPECT_EQ(FieldOf("chat/2", "floor"), "25");
  EXPECT_EQ(Table("floor " + IdOf("chat/2") + " 1").Rows(), 3u);
  EXPECT_EQ(FieldOf("chat/0", "floor"), "1");
  EXPECT_EQ(Table("floor batch 50").Field(0, "previous"), "0");
  // Refused as a whole.
  EXPECT_EQ(
      Error("floor chat 41"),
      "\"chat\" can't have a floor of 41 %: the floors of a device come to at "
      "most 90 %, and those of others leave it 40 % on device 0; give it that, "
      "or lower another");
  for (const char* name : {"chat/0", "chat/1", "chat/2"}) {
    EXPECT_EQ(FieldOf(name, "floor"), "1") << name;
  }
  EXPECT_EQ(Table("floor chat 40").Rows(), 3u);
  for (const char* share : {"51", "-1", "x", "1.5", ""}) {
    EXPECT_EQ(
        Error(std::string("floor batch ") + share),
        std::string("the floor \"") + share +
            "\" is not allowed; give an integer from 0 (none) to 50, in "
            "percent of the GPU's time");
    EXPECT_EQ(RunTool({"floor", "batch", share}, {}).code, 2) << share;
  }
  EXPECT_EQ(RunTool({"floor", "batch"}, {}).code, 2);
  EXPECT_EQ(
      Error("floor nobody 5").substr(0, 26), "there is no queue \"nobody\"");
  EXPECT_EQ(RunTool({"floor", "batch", "0"}, {}).code, 0);
  EXPECT_EQ(FieldOf("batch/0", "floor"), "0");
}

TEST_F(ControlTest, WeightsAreShownAndChanged)
{
  const NamedStream one(3, "chat/0");
  const NamedStream other(3, "chat/1");
  const NamedStream unnamed(3, "");
  EXPECT_EQ(FieldOf("chat/0", "weight"), "0");
  const Finished changed = RunTool({"weight", "chat/1", "3"}, {});
  EXPECT_EQ(changed.code, 0) << changed.errors;
  EXPECT_NE(changed.output.find("WEIGHT"), std::string::npos) << changed.output;
  EXPECT_NE(changed.output.find("chat/0"), std::string::npos) << changed.output;
  EXPECT_EQ(FieldOf("chat/0", "weight"), "3");
  EXPECT_EQ(FieldOf("", "weight"), "0");
  EXPECT_EQ(Table("weight " + IdOf("") + " 100").Field(0, "previous"), "0");
  EXPECT_EQ(FieldOf("", "weight"), "100");
  // A floor is beside it.
  EXPECT_EQ(Table("floor chat 20").Rows(), 2u);
  EXPECT_EQ(Table("weight chat 0").Field(0, "previous"), "3");
  EXPECT_EQ(FieldOf("chat/1", "weight"), "0");
  EXPECT_EQ(FieldOf("chat/1", "floor"), "20");
  EXPECT_EQ(XQueueSetWeight(one.Queue(), 2), kXSchedSuccess);
  EXPECT_EQ(FieldOf("chat/1", "weight"), "2");
  EXPECT_EQ(XQueueSetWeight(one.Queue(), 101), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetWeight(one.Queue(), -1), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetWeight(0, 1), kXSchedErrorNotFound);
  // One that comes later has it, too.
  const NamedStream late(3, "chat/2");
  EXPECT_EQ(FieldOf("chat/2", "weight"), "2");
  EXPECT_EQ(
      Error("weight chat 101"),
      "the weight \"101\" is not allowed; give an integer from 0 (none) to 100");
  EXPECT_EQ(RunTool({"weight", "chat", "x"}, {}).code, 2);
  EXPECT_EQ(RunTool({"weight", "chat"}, {}).code, 2);
}

// Also those of owners that have no queue yet.
TEST_F(ControlTest, WeightsOfModelsAreForQueuesToCome)
{
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "quiet/0", 3), kXSchedSuccess);
  EXPECT_EQ(Table("weight quiet 5").Field(0, "id"), "0");
  XOwnerExchange(owner);
  {
    const NamedStream stream(3, "quiet/0");
    XOwnerExchange(0);
    EXPECT_EQ(FieldOf("quiet/0", "weight"), "5");
    // An owner's is that of its model.
    EXPECT_EQ(XOwnerSetWeight(owner, 101), kXSchedErrorInvalidValue);
    EXPECT_EQ(XOwnerSetWeight(owner, -1), kXSchedErrorInvalidValue);
    EXPECT_EQ(XOwnerSetWeight(0, 5), kXSchedErrorNotFound);
    EXPECT_EQ(XOwnerSetWeight(owner, 7), kXSchedSuccess);
    EXPECT_EQ(FieldOf("quiet/0", "weight"), "7");
  }
  int32_t weight = 0;
  EXPECT_EQ(XOwnerGetWeight(owner, nullptr), kXSchedErrorInvalidValue);
  EXPECT_EQ(XOwnerGetWeight(0, &weight), kXSchedErrorNotFound);
  XOwnerHandle other = 0;
  ASSERT_EQ(XOwnerCreate(&other, "quiet/1", 3), kXSchedSuccess);
  EXPECT_EQ(XOwnerSetWeight(other, 9), kXSchedSuccess);
  EXPECT_EQ(XOwnerGetWeight(owner, &weight), kXSchedSuccess);
  EXPECT_EQ(weight, 9);
  EXPECT_EQ(XOwnerDestroy(other), kXSchedSuccess);
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
  // The next owner has its place, and nothing else of it.
  ASSERT_EQ(XOwnerCreate(&owner, "", 3), kXSchedSuccess);
  EXPECT_EQ(XOwnerGetWeight(owner, &weight), kXSchedSuccess);
  EXPECT_EQ(weight, 0);
  EXPECT_EQ(XOwnerSetWeight(owner, 5), kXSchedErrorNotAllowed);
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
}

// Owners that have no queue yet, as a model that has had no request.
TEST_F(ControlTest, FloorsOfModelsWithoutQueuesAreForThoseToCome)
{
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "quiet/0", 3), kXSchedSuccess);
  EXPECT_EQ(XOwnerSetFloor(owner, 51), kXSchedErrorInvalidValue);
  EXPECT_EQ(XOwnerSetFloor(owner, -1), kXSchedErrorInvalidValue);
  EXPECT_EQ(XOwnerSetFloor(0, 5), kXSchedErrorNotFound);
  EXPECT_EQ(XOwnerSetFloor(owner, 20), kXSchedSuccess);
  const AnswerTable changed = Table("floor quiet 30");
  ASSERT_EQ(changed.Rows(), 1u);
  EXPECT_EQ(changed.Field(0, "id"), "0");
  EXPECT_EQ(changed.Field(0, "name"), "quiet/0");
  EXPECT_EQ(changed.Field(0, "previous"), "20");
  EXPECT_EQ(changed.Field(0, "floor"), "30");
  XOwnerExchange(owner);
  auto stream = std::make_unique<NamedStream>(3, "quiet/0");
  XOwnerExchange(0);
  EXPECT_EQ(FieldOf("quiet/0", "floor"), "30");
  stream.reset();
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
  // Another model's floor leaves no room for it until that has gone.
  const NamedStream batch(3, "batch/0");
  EXPECT_EQ(XQueueSetFloor(batch.Queue(), 50), kXSchedSuccess);
  ASSERT_EQ(XOwnerCreate(&owner, "quiet/1", 3), kXSchedSuccess);
  EXPECT_EQ(XOwnerSetFloor(owner, 50), kXSchedSuccess);
  XOwnerExchange(owner);
  const NamedStream first(3, "quiet/1");
  EXPECT_EQ(FieldOf("quiet/1", "floor"), "0");
  EXPECT_EQ(XQueueSetFloor(batch.Queue(), 40), kXSchedSuccess);
  const NamedStream second(3, "quiet/2");
  XOwnerExchange(0);
  EXPECT_EQ(FieldOf("quiet/1", "floor"), "50");
  EXPECT_EQ(FieldOf("quiet/2", "floor"), "50");
  EXPECT_EQ(XOwnerSetFloor(owner, 0), kXSchedSuccess);
  EXPECT_EQ(FieldOf("quiet/1", "floor"), "0");
  XOwnerHandle nameless = 0;
  ASSERT_EQ(XOwnerCreate(&nameless, "", 3), kXSchedSuccess);
  EXPECT_EQ(XOwnerSetFloor(nameless, 5), kXSchedErrorNotAllowed);
  EXPECT_EQ(XOwnerDestroy(nameless), kXSchedSuccess);
}

TEST_F(ControlTest, StatesAreShown)
{
  NamedStream low(PRIORITY_MIN, "low");
  NamedStream high(PRIORITY_MAX, "high");
  EXPECT_EQ(FieldOf("low", "state"), "idle");
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  EXPECT_EQ(FieldOf("high", "state"), "ready");
  EXPECT_EQ(FieldOf("high", "launches"), "1");
  EXPECT_EQ(FieldOf("low", "state"), "idle");
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(low.Launch(Kernel(1)), 0);
  });
  while (FieldOf("low", "state") != "blocked") {
    std::this_thread::yield();
  }
  const Finished list = RunTool({"list"}, {});
  EXPECT_EQ(list.code, 0) << list.errors;
  EXPECT_NE(list.output.find("blocked"), std::string::npos) << list.output;
  EXPECT_NE(list.output.find("low"), std::string::npos) << list.output;
  ASSERT_EQ(XQueueSuspend(low.Queue(), 0), kXSchedSuccess);
  EXPECT_EQ(FieldOf("low", "state"), "suspended");
  ASSERT_EQ(XQueueResume(low.Queue(), 0), kXSchedSuccess);
  simulated::Hold(false);
  other.join();
  ASSERT_EQ(low.Synchronize(), 0);
  ASSERT_EQ(high.Synchronize(), 0);
  EXPECT_EQ(FieldOf("low", "state"), "idle");
  EXPECT_EQ(FieldOf("low", "blocked"), "1");
  EXPECT_EQ(FieldOf("high", "state"), "idle");
}

TEST_F(ControlTest, ModelsNameChangesAllItsQueuesAlsoBlockedOnes)
{
  NamedStream low(PRIORITY_MIN, "bert/0");
  const NamedStream second(PRIORITY_MIN, "bert/1");
  const NamedStream other_model(PRIORITY_MIN, "bert-large/0");
  NamedStream high(100, "resnet/0");
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(low.Launch(Kernel(1)), 0);
  });
  while (low.Stats().blocked == 0) {
    std::this_thread::yield();
  }
  const Finished changed = RunTool({"priority", "bert", "max"}, {});
  EXPECT_EQ(changed.code, 0) << changed.errors;
  EXPECT_EQ(changed.output.find("2 queues changed\n"), 0u) << changed.output;
  other.join();  // high is still ready
  EXPECT_EQ(low.Stats().priority, PRIORITY_MAX);
  EXPECT_EQ(second.Stats().priority, PRIORITY_MAX);
  EXPECT_EQ(other_model.Stats().priority, PRIORITY_MIN);
  EXPECT_EQ(high.Stats().priority, 100);
  simulated::Hold(false);
}

TEST_F(ControlTest, QueuesAreMeantByIdNameOrModel)
{
  const NamedStream one(1, "a model/0");
  const NamedStream two(2, "a model/1");
  const NamedStream plain(3, "plain");
  const NamedStream unnamed(4, "");
  EXPECT_EQ(Table("priority " + IdOf("a model/0") + " 10").Rows(), 1u);
  EXPECT_EQ(one.Stats().priority, 10);
  EXPECT_EQ(two.Stats().priority, 2);
  const AnswerTable changed = Table("priority a model/1 -20");
  ASSERT_EQ(changed.Rows(), 1u);
  EXPECT_EQ(changed.Field(0, "previous"), "2");
  EXPECT_EQ(changed.Field(0, "priority"), "-20");
  EXPECT_EQ(Table("priority a model min").Rows(), 2u);
  EXPECT_EQ(one.Stats().priority, PRIORITY_MIN);
  EXPECT_EQ(Table("priority plain default").Rows(), 1u);
  EXPECT_EQ(plain.Stats().priority, PRIORITY_DEFAULT);
  EXPECT_EQ(Table("priority " + IdOf("") + " 5").Rows(), 1u);
  EXPECT_EQ(unnamed.Stats().priority, 5);
  EXPECT_EQ(RunTool({"priority", "a model/0", "-7"}, {}).code, 0);
  EXPECT_EQ(one.Stats().priority, -7);
}

TEST_F(ControlTest, WhatRunsUnscheduledIsAProblem)
{
  EXPECT_EQ(Table("status").Field(0, "scheduled"), "yes");
  XUnscheduledAdd(2);
  EXPECT_EQ(Table("status").Field(0, "scheduled"), "no");
  EXPECT_EQ(
      Table("status").Field(0, "problem"),
      "2 model instances run unscheduled; the log says which and why");
  EXPECT_EQ(RunTool({"status"}, {}).code, 1);
  XUnscheduledAdd(-2);
  EXPECT_EQ(Table("status").Field(0, "scheduled"), "yes");
  EXPECT_EQ(RunTool({"status"}, {}).code, 0);
}

// A model's queues may come and go: its owner remembers.
TEST_F(ControlTest, PriorityIsAlsoThatOfQueuesToCome)
{
  XOwnerHandle first = 0;
  XOwnerHandle second = 0;
  ASSERT_EQ(XOwnerCreate(&first, "model/0", 7), kXSchedSuccess);
  ASSERT_EQ(XOwnerCreate(&second, "model/1", 7), kXSchedSuccess);
  const auto priority_of_new_queue = [](XOwnerHandle owner) {
    XOwnerExchange(owner);
    CUstream stream = nullptr;
    EXPECT_EQ(cuStreamCreate(&stream, 0), 0);
    HwQueueHandle hwq = 0;
    XQueueHandle xq = 0;
    XQueueStats stats = {};
    EXPECT_EQ(CudaQueueGet(&hwq, stream), kXSchedSuccess);
    EXPECT_EQ(XQueueGet(&xq, hwq), kXSchedSuccess);
    EXPECT_EQ(XQueueGetStats(xq, &stats), kXSchedSuccess);
    EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
    XOwnerExchange(0);
    return stats.priority;
  };
  EXPECT_EQ(priority_of_new_queue(first), 7);
  const AnswerTable changed = Table("priority model -9");
  ASSERT_EQ(changed.Rows(), 2u);
  EXPECT_EQ(changed.Field(0, "id"), "0");  // there is no queue
  EXPECT_EQ(changed.Field(0, "name"), "model/0");
  EXPECT_EQ(changed.Field(0, "previous"), "7");
  EXPECT_EQ(changed.Field(0, "priority"), "-9");
  EXPECT_EQ(priority_of_new_queue(first), -9);
  EXPECT_EQ(priority_of_new_queue(second), -9);
  EXPECT_EQ(Table("priority model/1 12").Rows(), 1u);
  EXPECT_EQ(priority_of_new_queue(first), -9);
  EXPECT_EQ(priority_of_new_queue(second), 12);
  // One with a queue already is changed with it.
  XOwnerExchange(first);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  XOwnerExchange(0);
  EXPECT_EQ(Table("priority model 100").Rows(), 1u);
  EXPECT_EQ(priority_of_new_queue(second), 100);
  EXPECT_EQ(Table("priority model 30").Field(0, "previous"), "100");
  // An id means that queue, and nothing else.
  EXPECT_EQ(Table("priority " + IdOf("model/0") + " 1").Rows(), 1u);
  EXPECT_EQ(priority_of_new_queue(first), 30);
  EXPECT_EQ(XOwnerDestroy(first), kXSchedSuccess);
  EXPECT_EQ(XOwnerDestroy(second), kXSchedSuccess);
  EXPECT_NE(Error("priority model 1"), "");
}

TEST_F(ControlTest, NumberThatIsIdAndNameIsRefused)
{
  const NamedStream first(1, "first");
  const std::string id = IdOf("first");
  const NamedStream second(2, id + "/0");
  EXPECT_EQ(
      Error("priority " + id + " 9"),
      "\"" + id + "\" is the id of the queue " + id +
          " (first) and the name of others: " + IdOf(id + "/0") + " (" + id +
          "/0); use the name of the former or the ids of the latter");
  EXPECT_EQ(first.Stats().priority, 1);
  EXPECT_EQ(second.Stats().priority, 2);
  // A queue may have its own id as its name.
  const std::string own = std::to_string(atoll(IdOf(id + "/0").c_str()) + 1);
  const NamedStream third(3, own);
  ASSERT_EQ(IdOf(own), own);
  EXPECT_EQ(Table("priority " + own + " 9").Rows(), 1u);
}

TEST_F(ControlTest, WrongRequestsAreAnsweredWithWhatIsAllowed)
{
  EXPECT_EQ(
      Error("priority bert 5"),
      "there is no queue \"bert\"; the process has none");
  const NamedStream queue(3, "resnet/0");
  const std::string id = IdOf("resnet/0");
  EXPECT_EQ(
      Error("priority bert 5"),
      "there is no queue \"bert\"; use " + id + " (resnet/0)");
  for (const char* priority :
       {"256", "-256", "1x", "x", "99999999999999999999", "+1", "0x1", "MAX",
        "-"}) {
    EXPECT_EQ(
        Error(std::string("priority resnet ") + priority),
        std::string("the priority \"") + priority +
            "\" is not allowed; give an integer from -255 to 255, or max, "
            "default or min");
    const Finished tool = RunTool({"priority", "resnet", priority}, {});
    EXPECT_EQ(tool.code, 2);
    EXPECT_NE(
        tool.errors.find("give an integer from -255 to 255"), std::string::npos)
        << tool.errors;
  }
  for (const char* request :
       {"priority", "priority ", "priority resnet", "priority  5"}) {
    EXPECT_EQ(
        Error(request).substr(0, 4),
        request == std::string("priority") ? "unkn" : "give")
        << request;
  }
  EXPECT_EQ(
      Error("hello"),
      "unknown request \"hello\"; use status, queues, priority QUEUE N, "
      "floor QUEUE PERCENT or weight QUEUE N");
  EXPECT_EQ(Error("").substr(0, 7), "unknown");
  EXPECT_EQ(
      Error(std::string("status\0", 7)),
      "the request contains control characters");
  EXPECT_EQ(Error("status\r"), "the request contains control characters");
  EXPECT_EQ(Error(std::string(4096, 'x')).substr(0, 16), "unknown request ");
  EXPECT_EQ(
      Error(std::string(4097, 'x')), "the request is longer than 4096 bytes");
  EXPECT_EQ(queue.Stats().priority, 3);
  EXPECT_EQ(RunTool({"priority", "bert", "5"}, {}).code, 1);
  ExpectItAnswers();
}

TEST_F(ControlTest, ErrorListsOnlySoManyQueues)
{
  std::vector<std::unique_ptr<NamedStream>> queues;
  for (int i = 0; i < 25; ++i) {
    queues.push_back(std::make_unique<NamedStream>(0, "q"));
  }
  const std::string error = Error("priority bert 1");
  EXPECT_EQ(error.substr(error.size() - 10), "and 5 more") << error;
}

TEST_F(ControlTest, JsonIsValidWhateverTheNames)
{
  const std::vector<std::string> names = {
      "quote\"back\\slash/0",
      "m\xC3\xB6"
      "del",
      "broken\xC3",
      "\xFF\xFE\x80",
      "surrogate\xED\xA0\x80",
      "overlong\xC0\x80",
      "too far\xF4\x90\x80\x80",
      "four\xF0\x9F\x98\x80",
      "c1\xC2\x9B"
      "2J",
      "{}[],:'<>&",
      "",
      "  spaces  "};
  std::vector<std::unique_ptr<NamedStream>> queues;
  for (const std::string& name : names) {
    queues.push_back(std::make_unique<NamedStream>(0, name));
  }
  const Finished stats = RunTool({"stats", "--json"}, {});
  ASSERT_EQ(stats.code, 0) << stats.errors;
  const std::string path = Folder() / "stats.json";
  FILE* file = fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  fputs(stats.output.c_str(), file);
  fclose(file);
  ChildProcess check(
      {PYTHON, "-c",
       "import json, sys\n"
       "stats = json.loads(open(sys.argv[1], 'rb').read().decode('utf-8'))\n"
       "for queue in stats['queues']:\n"
       "  assert isinstance(queue['id'], int), queue\n"
       "  print(ascii(queue['name']))\n",
       path},
      {});
  EXPECT_EQ(
      check.ReadAll(),
      "'quote\"back\\\\slash/0'\n"
      "'m\\xf6del'\n"
      "'broken\\ufffd'\n"
      "'\\ufffd\\ufffd\\ufffd'\n"
      "'surrogate\\ufffd\\ufffd\\ufffd'\n"
      "'overlong\\ufffd\\ufffd'\n"
      "'too far\\ufffd\\ufffd\\ufffd\\ufffd'\n"
      "'four\\U0001f600'\n"
      "'c1\\x9b2J'\n"
      "\"{}[],:'<>&\"\n"
      "''\n"
      "'  spaces  '\n");
  EXPECT_EQ(check.Wait(), 0) << check.Errors();
  unlink(path.c_str());
  const Finished list = RunTool({"list"}, {});
  EXPECT_EQ(list.output.find("\xC2\x9B"), std::string::npos);
}

TEST_F(ControlTest, JsonWithoutQueues)
{
  const Finished stats = RunTool({"stats", "--json"}, {});
  EXPECT_EQ(stats.output, "{\"queues\": []}\n");
  EXPECT_EQ(RunTool({"stats"}, {}).code, 0);
  EXPECT_EQ(RunTool({"list"}, {}).code, 0);
}

TEST_F(ControlTest, WatchGoesOnUntilItIsInterrupted)
{
  NamedStream queue(0, "watched");
  ChildProcess watch({kXschedCtl, "watch", "0.1"}, {});
  int tables = 0;
  while (tables < 3) {
    ASSERT_EQ(queue.Launch(Kernel(1)), 0);
    const std::string line = watch.ReadLine();
    ASSERT_TRUE(!line.empty() || tables > 0) << watch.Errors();
    tables += line.find("LAUNCHES/S") != std::string::npos ? 1 : 0;
  }
  watch.Signal(SIGINT);
  EXPECT_EQ(watch.Wait(), -SIGINT);
  ASSERT_EQ(queue.Synchronize(), 0);
}

// --- clients that do not behave ---------------------------------------------

TEST_F(ControlTest, GarbageIsSurvived)
{
  const NamedStream queue(3, "steady");
  std::mt19937 random(20240607);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(random() % 6000, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random());
    }
    if (round % 3 == 0) {
      bytes = "priority " + bytes;
    }
    RawClient client(Socket());
    ASSERT_TRUE(client.Connected());
    client.Send(bytes);
    if (round % 2 == 0) {
      client.CloseSending();
      client.ReadAll();
    }
  }
  EXPECT_EQ(queue.Stats().priority, 3);
  ExpectItAnswers();
}

TEST_F(ControlTest, HugeLineIsCutShort)
{
  RawClient client(Socket());
  const std::string huge(8 << 20, 'x');
  client.Send(huge);  // the other side need not read all of it
  EXPECT_EQ(
      client.ReadAll(), "error the request is longer than 4096 bytes\n\n");
  ExpectItAnswers();
}

TEST_F(ControlTest, RequestCanComeInPiecesAndSendingCanEnd)
{
  RawClient client(Socket());
  for (const char c : std::string("status\nand more that is ignored")) {
    client.Send(std::string(1, c));
  }
  client.CloseSending();
  EXPECT_EQ(client.ReadAll().substr(0, 3), "ok\n");
}

TEST_F(ControlTest, HalfARequestChangesNothing)
{
  const NamedStream queue(3, "steady");
  RawClient client(Socket());
  client.Send("priority steady 25");  // would have been 255
  client.CloseSending();
  EXPECT_EQ(client.ReadAll(), "");
  EXPECT_EQ(queue.Stats().priority, 3);
}

TEST_F(ControlTest, ClientsThatLeaveEarlyAreSurvived)
{
  std::vector<std::unique_ptr<NamedStream>> queues;
  for (int i = 0; i < 100; ++i) {
    queues.push_back(std::make_unique<NamedStream>(0, std::string(60, 'x')));
  }
  for (int i = 0; i < 200; ++i) {
    RawClient client(Socket());
    client.Send("queues\n");
    if (i % 2 == 0) {
      client.Read(10);
    }
  }
  ExpectItAnswers();
}

TEST_F(ControlTest, ManyAtOnceAreAllAnswered)
{
  const NamedStream queue(0, "many");
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int i = 0; i < 200; ++i) {
    threads.emplace_back([&] {
      RawClient client(Socket());
      client.Send("queues\n");
      answered +=
          ParseAnswer(client.ReadAll()).kind == ParsedAnswer::Kind::kTable;
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(answered.load(), 200);
}

// By a clock of the test's: whoever asks waits for a part of a second, and not
// for as long as all of the silent ones could stay.
TEST(ServerTest, SilentClientsMakeRoomWhileOthersWait)
{
  constexpr int64_t kStepNs = 10000000;
  const TestFolder folder;
  ASSERT_EQ(chmod(folder.Path().c_str(), 0700), 0);
  std::string error;
  const auto listener = Listener::Open(folder.Path(), 4242, &error);
  ASSERT_NE(listener, nullptr) << error;
  Server server(
      listener->Socket().Get(), 100, [](const std::string&) { return "yes"; });
  int64_t now_ns = 1;
  const auto serve = [&] {
    std::vector<struct pollfd> polled;
    server.Prepare(now_ns, &polled);
    poll(polled.data(), polled.size(), 0);
    server.Serve(now_ns, polled.data(), polled.size());
  };
  std::vector<RawClient> silent;
  for (int i = 0; i < 100; ++i) {
    silent.emplace_back(listener->Path());
    ASSERT_TRUE(silent.back().Connected());
    ASSERT_TRUE(i % 2 != 0 || silent.back().Send("stat"));
    serve();
  }
  RawClient asking(listener->Path());
  ASSERT_TRUE(asking.Send("status\n"));
  const int64_t asked_ns = now_ns;
  while (!asking.HasInput() && now_ns - asked_ns < 100000 * kStepNs) {
    now_ns += kStepNs;
    serve();
  }
  EXPECT_EQ(asking.ReadAll(), "yes");
  EXPECT_LT(now_ns - asked_ns, 1000000000);
}

TEST_F(ControlTest, SilentClientsDoNotLockOthersOut)
{
  std::vector<RawClient> silent;
  for (int i = 0; i < 100; ++i) {
    silent.emplace_back(Socket());
    ASSERT_TRUE(silent.back().Connected());
    if (i % 2 == 0) {
      silent.back().Send("stat");
    }
  }
  ExpectItAnswers();
  for (RawClient& client : silent) {
    EXPECT_EQ(client.ReadAll(), "");  // their time is over some time
  }
  ExpectItAnswers();
}

TEST_F(ControlTest, ClientsThatDoNotReadDoNotLockOthersOut)
{
  // More than a socket holds by itself.
  std::vector<std::unique_ptr<NamedStream>> queues;
  for (int i = 0; i < 4000; ++i) {
    queues.push_back(std::make_unique<NamedStream>(0, std::string(63, 'x')));
  }
  std::vector<RawClient> slow;
  for (int i = 0; i < 40; ++i) {
    slow.emplace_back(Socket());
    slow.back().Send("queues\n");
  }
  ExpectItAnswers();
  // One that reads gets all of it. If the machine stops it for longer than a
  // connection may take while others wait, it is cut off, too, and asks again.
  ParsedAnswer read = ParseAnswer(AskRaw(Socket(), "queues\n"));
  for (int i = 0; i < 100 && read.kind == ParsedAnswer::Kind::kIncomplete;
       ++i) {
    read = ParseAnswer(AskRaw(Socket(), "queues\n"));
  }
  EXPECT_EQ(read.kind, ParsedAnswer::Kind::kTable);
  EXPECT_EQ(read.table.Rows(), 4000u);
  int cut_off = 0;
  for (RawClient& client : slow) {
    cut_off +=
        ParseAnswer(client.ReadAll()).kind == ParsedAnswer::Kind::kIncomplete;
  }
  EXPECT_GT(cut_off, 0);  // and each reader can tell
}

TEST_F(ControlTest, ProcessWithoutFileDescriptorsAnswersLater)
{
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<RawClient> waiting(2);
  const FileDescriptor task(
      open((ControlTask() + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(task.IsOpen());
  // Every free number is beyond the limit: accept fails.
  struct rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (RawClient& client : waiting) {
    client.Connect(Socket());
    client.Send("status\n");
  }
  const long long began = TicksOf(task);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // It does not try again and again: that would be some 30 ticks.
  EXPECT_LE(TicksOf(task) - began, 5);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  for (RawClient& client : waiting) {
    EXPECT_EQ(client.ReadAll().substr(0, 3), "ok\n");
  }
}

// --- what the process does meanwhile ----------------------------------------

#if XSCHED_CHILD_MAY_ALLOCATE && !defined(__SANITIZE_THREAD__)
TEST_F(ControlTest, ForkFindsNoLockTaken)
{
  std::vector<std::unique_ptr<NamedStream>> queues;
  for (int i = 0; i < 200; ++i) {
    queues.push_back(std::make_unique<NamedStream>(0, "q"));
  }
  std::atomic<bool> stop{false};
  std::thread client([&] {
    while (!stop.load()) {
      AskRaw(Socket(), "queues\n");
    }
  });
  for (int i = 0; i < 100 && !HasFailure(); ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      queues[0]->Stats();  // needs the lock that lists of queues need
      _exit(0);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "the child hung";
  }
  stop.store(true);
  client.join();
}
#endif

TEST_F(ControlTest, QueuesComeAndGoWhileTheyAreLookedAt)
{
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      cuCtxSetCurrent(context_);
      const std::string name = "churn/" + std::to_string(i);
      while (!stop.load()) {
        NamedStream queue(i, name);
        EXPECT_EQ(queue.Launch(Kernel(1)), 0);
        EXPECT_EQ(
            XQueueSetName(queue.Queue(), (name + "x").c_str()), kXSchedSuccess);
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    AskRaw(Socket(), "queues\n");
    AskRaw(Socket(), "priority churn " + std::to_string(i % 511 - 255) + "\n");
  }
  stop.store(true);
  for (std::thread& thread : threads) {
    thread.join();
  }
  ExpectItAnswers();
}

TEST_F(ControlTest, ThreadBlocksAllSignals)
{
  const std::string status = ReadFile(ControlTask() + "/status");
  const size_t at = status.find("SigBlk:\t");
  ASSERT_NE(at, std::string::npos) << "no thread named xsched-control";
  const uint64_t blocked = strtoull(status.c_str() + at + 8, nullptr, 16);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) {
    EXPECT_NE(blocked & (UINT64_C(1) << (signal - 1)), 0u) << signal;
  }
}

TEST_F(ControlTest, NoDescriptorIsLeftToProgramsThatAreStarted)
{
  const RawClient connected(Socket());
  ExpectItAnswers();
  int looked_at = 0;
  for (const std::string& name : FilesIn("/proc/self/fd")) {
    char target[256] = {};
    if (readlink(
            ("/proc/self/fd/" + name).c_str(), target, sizeof(target) - 1) >
            0 &&
        (strncmp(target, "socket:", 7) == 0 ||
         strcmp(target, "anon_inode:[eventfd]") == 0)) {
      EXPECT_NE(fcntl(atoi(name.c_str()), F_GETFD) & FD_CLOEXEC, 0) << target;
      ++looked_at;
    }
  }
  EXPECT_GE(looked_at, 3);
}

}  // namespace
