// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Scheduling domains, with real processes. Each has a simulated device of its
// own, by the same name: what one process does to another is done by the domain.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "built_files.h"
#include "control/child_process.h"
#include "ctl/floor.h"
#include "domain/layout.h"

namespace {

using namespace std::chrono_literals;
using xsched::domain::Claim;
using xsched::domain::Layout;
using xsched::domain::Slot;

constexpr const char* kDevice = "gpu-01000000000000000000000000000000";
// Nobody waits 100 ms for a process that is no more. A busy machine, under a
// sanitizer, may add seconds to that: whoever does not notice that it is no more
// waits for ever.
constexpr int kLimitMs = 10000;
constexpr auto kWhile = 100ms;

// -1 if there is no answer.
int
ToInt(const std::string& answer)
{
  return answer.empty() ? -1 : atoi(answer.c_str());
}

// Waits for a condition, for as long as a busy machine may take to fulfil it.
template <typename Condition>
bool
ComesTrue(const Condition& condition)
{
  for (int i = 0; i < 1200; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(50ms);
  }
  return condition();
}

std::vector<std::string>
LinesOf(const std::string& text)
{
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::string
ReadFile(const std::string& path)
{
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string>
WordsOf(const std::string& line)
{
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

class DomainTest : public testing::Test {
 protected:
  using Process = std::unique_ptr<ChildProcess>;

  Process Start(int priority, Environment more = {}, int device = 0)
  {
    Environment environment = {
        {"LD_LIBRARY_PATH", kShimFolder},
        {"XSCHED_CUDA_LIB", kSimulatedDriver},
        {"XSCHED_CONTROL", "OFF"},
        {"XSCHED_SCHEDULER", "GLB"},
        {"XSCHED_DOMAIN_DIR", Folder()}};
    for (const auto& each : more) {
      environment[each.first] = each.second;
    }
    auto process = std::make_unique<ChildProcess>(
        std::vector<std::string>{
            kCompetitor, std::to_string(priority), std::to_string(device)},
        environment);
    EXPECT_EQ(process->ReadLine(), "ready") << process->Errors();
    return process;
  }

  static std::string Do(const Process& process, const std::string& what)
  {
    process->WriteLine(what);
    return process->ReadLine();
  }

  static int64_t Count(const Process& process)
  {
    const std::string count = Do(process, "count");
    EXPECT_NE(count, "") << process->Errors();
    return atoll(count.c_str());
  }

  // Launches in the time that is waited.
  static int64_t Progress(const Process& process)
  {
    const int64_t before = Count(process);
    std::this_thread::sleep_for(kWhile);
    return Count(process) - before;
  }

  // Whether it comes to launch.
  static bool Proceeds(const Process& process)
  {
    const int64_t before = Count(process);
    return ComesTrue([&] { return Count(process) > before; });
  }

  // Whether it comes to write that to its standard error.
  static bool Says(const Process& process, const std::string& what)
  {
    return ComesTrue(
        [&] { return process->Errors().find(what) != std::string::npos; });
  }

  // Whether there is a while in which it launches nothing. On a busy machine,
  // the process that holds it back may itself not run in time to say so.
  static bool IsHeldBack(const Process& process)
  {
    for (int i = 0; i < 50; ++i) {
      // What was under way when the other one became ready.
      std::this_thread::sleep_for(20ms);
      if (Progress(process) == 0) {
        return true;
      }
    }
    return false;
  }

  std::string Folder() const { return folder_ / "domain"; }
  std::string File() const { return Folder() + "/" + kDevice; }

  // That a process with nothing to do takes no part in the work of others.
  void ExpectOnItsOwn(const Process& process, const std::string& why)
  {
    EXPECT_NE(process->Errors().find(why), std::string::npos)
        << process->Errors();
    EXPECT_NE(
        process->Errors().find("only this one is scheduled"), std::string::npos)
        << process->Errors();
    EXPECT_LT(ToInt(Do(process, "pass")), kLimitMs);
  }

  TestFolder folder_;
};

TEST_F(DomainTest, TheHigherProcessHoldsTheLowerBack)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(low, "run");
  ASSERT_TRUE(Proceeds(low));
  Do(high, "hold");
  EXPECT_TRUE(IsHeldBack(low));
  Do(high, "release");
  EXPECT_TRUE(Proceeds(low));
  // And again, with the low one waiting before.
  Do(high, "hold");
  EXPECT_TRUE(IsHeldBack(low));
  Do(high, "release");
  EXPECT_TRUE(Proceeds(low));
}

// A model over two devices, with something more urgent on the second one.
class GangTest : public DomainTest {
 protected:
  Process StartMember(int device)
  {
    return Start(-10, {{"XSCHED_GANG", "model"}}, device);
  }

  // The member is so many collectives ahead of the others, and its device waits
  // for theirs.
  static void GetAhead(const Process& member, int collectives)
  {
    Do(member, "hold");
    for (int i = 0; i < collectives; ++i) {
      Do(member, "begin");
    }
  }

  const Process urgent_ = Start(10, {}, 1);
  const Process first_ = StartMember(0);
  const Process second_ = StartMember(1);
};

TEST_F(GangTest, WhatOneMemberHasBegunTheOtherFinishes)
{
  GetAhead(first_, 50);
  Do(urgent_, "hold");
  Do(second_, "collectives 200");
  EXPECT_TRUE(ComesTrue([&] { return Count(second_) >= 50; }));
  EXPECT_TRUE(IsHeldBack(second_));
}

TEST_F(GangTest, AProcessOnItsOwnFinishesNothingOutOfTurn)
{
  const Process other = Start(-10, {{"XSCHED_GANG", "another"}}, 1);
  GetAhead(first_, 1000);
  Do(urgent_, "hold");
  Do(other, "collectives 4000");
  EXPECT_TRUE(IsHeldBack(other));
  EXPECT_LT(Count(other), 1000);
}

TEST_F(GangTest, WhatAMemberHasBegunThatEndedIsNotFinished)
{
  GetAhead(first_, 1000);
  Do(urgent_, "hold");
  Do(second_, "collectives 4000");
  ASSERT_TRUE(Proceeds(second_));
  kill(first_->Pid(), SIGKILL);
  EXPECT_TRUE(IsHeldBack(second_));
  EXPECT_LT(Count(second_), 1000);
}

TEST_F(GangTest, WhileOneMemberIsHeldBackTheOtherBeginsNothing)
{
  const Process neighbour = Start(-10);
  Do(neighbour, "run");
  Do(first_, "collectives 200");
  Do(second_, "collectives 200");
  ASSERT_TRUE(Proceeds(first_));
  ASSERT_TRUE(Proceeds(second_));
  Do(urgent_, "hold");
  EXPECT_TRUE(IsHeldBack(second_));
  EXPECT_TRUE(IsHeldBack(first_));
  EXPECT_TRUE(Proceeds(neighbour));
  Do(urgent_, "release");
  EXPECT_TRUE(Proceeds(first_));
  EXPECT_TRUE(Proceeds(second_));
}

// Each has a device that waits for nobody, and one is five times as fast: only the
// core keeps them together.
TEST_F(GangTest, MembersBeginTogetherWhereSomethingUrgentMayCome)
{
  const Process urgent_here = Start(10);
  Do(first_, "collectives 200");
  Do(second_, "collectives 1000");
  ASSERT_TRUE(Proceeds(first_));
  const std::string file = Folder() + "/gangs";
  const auto are_together = [&file] {
    const std::string content = ReadFile(file);
    const auto* const shared = reinterpret_cast<const Layout*>(content.data());
    const uint64_t ahead = shared->slots[0].collectives.load() -
                           shared->slots[1].collectives.load();
    return content.size() == sizeof(Layout) && ahead + 1 <= 2;
  };
  EXPECT_TRUE(ComesTrue([&] {
    const int64_t before = Count(first_);
    bool together = true;
    for (int i = 0; i < 20 && together; ++i) {
      together = are_together();
      std::this_thread::sleep_for(1ms);
    }
    return together && Count(first_) > before;
  }));
}

TEST_F(GangTest, NobodyWaitsForLongForOneThatDoesNotCome)
{
  const Process urgent_here = Start(10);
  Do(second_, "begin");
  Do(second_, "hold");
  Do(first_, "collectives 200");
  EXPECT_TRUE(ComesTrue([&] { return Count(first_) > 100; }));
}

TEST_F(GangTest, AMemberThatEndsHoldsNobodyUp)
{
  Do(first_, "collectives 200");
  Do(second_, "collectives 200");
  ASSERT_TRUE(Proceeds(second_));
  Do(urgent_, "hold");
  EXPECT_TRUE(IsHeldBack(first_));
  kill(second_->Pid(), SIGKILL);
  EXPECT_TRUE(Proceeds(first_));
}

// What floor_test says in numbers, between real processes: which of them comes
// to run on a busy machine, and when, is the kernel's.
TEST_F(DomainTest, ProcessesOfEqualPriorityShareByTheirWeights)
{
  const Process three = Start(10);
  const Process one = Start(10);
  ASSERT_EQ(Do(three, "weight 3"), "done");
  ASSERT_EQ(Do(one, "weight 1"), "done");
  Do(three, "run");
  Do(one, "run");
  ASSERT_TRUE(Proceeds(three));
  ASSERT_TRUE(Proceeds(one));
  std::string ratios;
  const bool shared = ComesTrue([&] {
    const int64_t three_before = Count(three);
    const int64_t one_before = Count(one);
    std::this_thread::sleep_for(kWhile);
    const double ratio = static_cast<double>(Count(three) - three_before) /
                         static_cast<double>(Count(one) - one_before);
    ratios += " " + std::to_string(ratio);
    return ratio > 2 && ratio < 4.5;
  });
  EXPECT_TRUE(shared) << ratios;
  // The list says with whom it takes turns.
  const std::string blocked_by_three =
      "\"pid\": " + std::to_string(one->Pid()) +
      ", \"models\": [], \"work\": 10, \"waits\": 10, \"slice\": false, "
      "\"blocked_by\": [" +
      std::to_string(three->Pid()) + "]";
  std::string list;
  EXPECT_TRUE(ComesTrue([&] {
    list =
        RunTool(
            {"list", "--domain", "--json"}, {{"XSCHED_DOMAIN_DIR", Folder()}})
            .output;
    return list.find(blocked_by_three) != std::string::npos;
  })) << list;
  // Who is alone has all turns.
  Do(three, "stop");
  EXPECT_TRUE(Proceeds(one));
}

TEST_F(DomainTest, TheListSaysWhoWaitsForWhom)
{
  const Environment control = {
      {"XSCHED_CONTROL", ""}, {"XSCHED_CONTROL_DIR", folder_ / "control"}};
  Environment environment = control;
  environment["XSCHED_DOMAIN_DIR"] = Folder();
  const auto list = [&](std::vector<std::string> words = {"list", "--domain"}) {
    return RunTool(words, environment);
  };
  EXPECT_EQ(list().code, 3);
  const Process high = Start(10, control);
  const Process low = Start(-10, control);
  // Without a socket, too.
  const Process other = Start(-20);
  const std::string high_pid = std::to_string(high->Pid());
  const std::string low_pid = std::to_string(low->Pid());
  const std::string other_pid = std::to_string(other->Pid());
  Do(high, "hold");
  Do(low, "run");
  Do(other, "run");
  ASSERT_TRUE(IsHeldBack(low));
  ASSERT_TRUE(IsHeldBack(other));
  const std::vector<std::string> expected[] = {
      WordsOf(high_pid + " - 10 - - -"),
      WordsOf(low_pid + " - -10 -10 " + high_pid + " -"),
      // It waits for both.
      WordsOf(other_pid + " - -20 -20 " + high_pid + ", " + low_pid + " -")};
  Finished found;
  // A process that was stopped has let its claims lapse until it goes on.
  EXPECT_TRUE(ComesTrue([&] {
    found = list();
    const std::vector<std::string> lines = LinesOf(found.output);
    if (lines.size() != 9u) {
      return false;
    }
    for (int i = 0; i < 3; ++i) {
      std::vector<std::string> words = WordsOf(lines[2 + i]);
      if (words.size() < 2u || words.back() != "s") {
        return false;
      }
      words.resize(words.size() - 2);
      if (words != expected[i]) {
        return false;
      }
    }
    return true;
  })) << found.output
      << found.errors;
  EXPECT_EQ(found.code, 0) << found.errors;
  const std::vector<std::string> lines = LinesOf(found.output);
  ASSERT_EQ(lines.size(), 9u) << found.output;
  EXPECT_EQ(lines[0], kDevice);
  EXPECT_EQ(
      WordsOf(lines[1]),
      WordsOf("PID MODELS WORK WAITS BLOCKED BY FLOORS GPU TIME"));
  EXPECT_GE(WordsOf(lines[7]).size(), 6u) << found.output;
  // For programs.
  std::string json;
  for (const std::string& part :
       {std::string("{\"devices\": [\n  {\"device\": \"") + kDevice +
            "\", \"processes\": [\n",
        "    {\"pid\": " + high_pid +
            ", \"models\": [], \"work\": 10, \"waits\": null, "
            "\"slice\": false, \"blocked_by\": [], \"floors\": [], "
            "\"used_ns\": ",
        "    {\"pid\": " + other_pid +
            ", \"models\": [], \"work\": -20, \"waits\": -20, "
            "\"slice\": false, \"blocked_by\": [" +
            high_pid + ", " + low_pid + "], \"floors\": [], \"used_ns\": "}) {
    EXPECT_TRUE(ComesTrue([&] {
      json = list({"list", "--domain", "--json"}).output;
      return json.find(part) != std::string::npos;
    })) << json;
  }
  // As it changes: who is held back gets nothing.
  ChildProcess watch({kXschedCtl, "watch", "--domain", "0.2"}, environment);
  EXPECT_EQ(watch.ReadLine(), kDevice);
  EXPECT_EQ(
      WordsOf(watch.ReadLine()),
      WordsOf("PID MODELS WORK WAITS BLOCKED BY FLOORS GPU SHARE"));
  EXPECT_TRUE(ComesTrue([&] {
    return WordsOf(watch.ReadLine()) ==
           WordsOf(low_pid + " - -10 -10 " + high_pid + " - 0.0 %");
  }));
  watch.Signal(SIGINT);
  Do(high, "release");
  EXPECT_TRUE(Proceeds(low));
  EXPECT_EQ(list({"--pid", low_pid, "list", "--domain"}).code, 2);
  EXPECT_EQ(list({"--pid", low_pid, "watch", "--domain"}).code, 2);
  EXPECT_EQ(list({"list", "--json"}).code, 2);
  EXPECT_EQ(list({"watch", "--domain", "0"}).code, 2);
  // What is no domain is said to be none.
  ASSERT_EQ(truncate(File().c_str(), 10), 0);
  EXPECT_NE(list().errors.find("it is no file of a domain"), std::string::npos);
  ASSERT_EQ(chmod(Folder().c_str(), 0777), 0);
  EXPECT_EQ(list().code, 1);
}

TEST_F(DomainTest, TheListHasTheFloors)
{
  const Environment environment = {
      {"XSCHED_CONTROL", ""},
      {"XSCHED_CONTROL_DIR", folder_ / "control"},
      {"XSCHED_DOMAIN_DIR", Folder()}};
  const Process low = Start(-10, environment);
  ASSERT_EQ(Do(low, "floor 20"), "done");
  const std::string table = RunTool({"list", "--domain"}, environment).output;
  const std::vector<std::string> lines = LinesOf(table);
  ASSERT_GE(lines.size(), 5u) << table;
  const std::vector<std::string> process = WordsOf(lines[2]);
  EXPECT_EQ(
      std::vector<std::string>(process.begin(), process.end() - 2),
      WordsOf(std::to_string(low->Pid()) + " - - - - 0.0 of 20 %"))
      << table;
  const std::string queue_end = "0.0 of 20 %";
  EXPECT_EQ(
      lines.back().substr(lines.back().size() - queue_end.size()), queue_end)
      << table;
  const std::string json =
      RunTool({"list", "--domain", "--json"}, environment).output;
  EXPECT_NE(
      json.find("\"floors\": [{\"model\": \"\", \"floor_percent\": 20, "
                "\"used_percent\": 0.0, \"missed\": false}]"),
      std::string::npos)
      << json;
}

TEST(FloorTest, OneIsMissedByThoseWhoWait)
{
  EXPECT_TRUE((xsched::Floor{"20", "17.9"}).IsMissed("blocked"));
  EXPECT_FALSE((xsched::Floor{"20", "18.0"}).IsMissed("blocked"));
  EXPECT_FALSE((xsched::Floor{"20", "0.0"}).IsMissed("ready"));
  EXPECT_FALSE((xsched::Floor{"0", ""}).IsMissed("blocked"));
}

// What processes do would not last until it is looked at: here they are
// stopped, and the test writes what they claim.
TEST_F(DomainTest, TheListSaysWhoHasTheSlice)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  high->Stop();
  low->Stop();
  const int fd = open(File().c_str(), O_RDWR | O_CLOEXEC);
  const auto write = [&](auto word, size_t offset) {
    EXPECT_EQ(
        pwrite(fd, &word, sizeof(word), static_cast<off_t>(offset)),
        static_cast<ssize_t>(sizeof(word)));
  };
  // The first slot is the higher one's. It waits for the slice of the other one,
  // which waits for nobody now.
  const size_t first = offsetof(Layout, slots);
  const size_t second = first + sizeof(Slot);
  write(Claim({10, 10}, 1).Word(), first + offsetof(Slot, claim));
  write(Claim({-10, -10, 20, 1}, 1).Word(), second + offsetof(Slot, claim));
  write(uint32_t{10 - PRIORITY_NO_EXECUTE}, first + offsetof(Slot, waits));
  write(uint32_t{-10 - PRIORITY_NO_EXECUTE}, second + offsetof(Slot, waits));
  write(Claim({10, 10, 20, 2}, 1).Word(), offsetof(Layout, top));
  close(fd);
  const std::string table =
      RunTool({"list", "--domain"}, {{"XSCHED_DOMAIN_DIR", Folder()}}).output;
  const std::vector<std::string> lines = LinesOf(table);
  ASSERT_GE(lines.size(), 4u) << table;
  const auto without_time = [](const std::string& line) {
    std::vector<std::string> words = WordsOf(line);
    words.resize(words.size() - 2);
    return words;
  };
  const std::string high_pid = std::to_string(high->Pid());
  const std::string low_pid = std::to_string(low->Pid());
  EXPECT_EQ(
      without_time(lines[2]), WordsOf(high_pid + " - 10 10 " + low_pid + " -"));
  EXPECT_EQ(
      without_time(lines[3]), WordsOf(low_pid + " - -10 (slice) -10 - -"));
}

TEST_F(DomainTest, MetricsSayWhoWaitsAndWhoIsWaitedFor)
{
  const auto metrics = [&](const char* priority) {
    return Environment{
        {"XSCHED_METRICS_FILE", folder_ / priority},
        {"XSCHED_METRICS_INTERVAL_MS", "100"}};
  };
  const Process high = Start(10, metrics("high"));
  const Process low = Start(-10, metrics("low"));
  Do(high, "hold");
  Do(low, "run");
  ASSERT_TRUE(IsHeldBack(low));
  // By now they have written it.
  const auto says = [&](const char* file, const char* metric, int value) {
    const std::string line = std::string(metric) + "{pid=\"";
    const std::string end = "device=\"0\"} " + std::to_string(value);
    return ComesTrue([&] {
      const std::vector<std::string> lines = LinesOf(ReadFile(folder_ / file));
      return std::any_of(
          lines.begin(), lines.end(), [&](const std::string& each) {
            return each.rfind(line, 0) == 0 && each.size() > end.size() &&
                   each.compare(each.size() - end.size(), end.size(), end) == 0;
          });
    });
  };
  EXPECT_TRUE(says("low", "xsched_domain_waiting", 1));
  EXPECT_TRUE(says("low", "xsched_domain_blocking", 0));
  EXPECT_TRUE(says("high", "xsched_domain_blocking", 1));
  EXPECT_TRUE(says("high", "xsched_domain_waiting", 0));
  EXPECT_TRUE(says("high", "xsched_domain_processes", 2));
  Do(high, "release");
  EXPECT_TRUE(says("low", "xsched_domain_waiting", 0));
  EXPECT_TRUE(says("high", "xsched_domain_blocking", 0));
}

TEST_F(DomainTest, TheLowerProcessHoldsNobodyBack)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(low, "hold");
  Do(high, "run");
  EXPECT_TRUE(Proceeds(high));
}

TEST_F(DomainTest, EqualProcessesRunSideBySide)
{
  const Process one = Start(5);
  const Process other = Start(5);
  Do(one, "hold");
  Do(other, "run");
  EXPECT_TRUE(Proceeds(other));
}

TEST_F(DomainTest, WithoutADomainProcessesDoNotCount)
{
  const Process high = Start(10);
  const Process alone = Start(-10, {{"XSCHED_SCHEDULER", ""}});
  Do(high, "hold");
  Do(alone, "run");
  EXPECT_TRUE(Proceeds(alone));
}

TEST_F(DomainTest, APriorityCountsAtOnce)
{
  const Process one = Start(10);
  const Process other = Start(0);
  Do(one, "hold");
  Do(other, "run");
  ASSERT_TRUE(IsHeldBack(other));
  Do(one, "priority -5");
  EXPECT_TRUE(Proceeds(other));
  Do(one, "priority 5");
  EXPECT_TRUE(IsHeldBack(other));
  // Its own, too, although a launch waits.
  Do(other, "priority 6");
  EXPECT_TRUE(Proceeds(other));
}

TEST_F(DomainTest, AFloorGivesALowerProcessSlices)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(high, "hold");
  Do(low, "run");
  ASSERT_TRUE(IsHeldBack(low));
  ASSERT_EQ(Do(low, "floor 20"), "done");
  EXPECT_TRUE(Proceeds(low));
  EXPECT_TRUE(Proceeds(low));
  Do(low, "floor 0");
  EXPECT_TRUE(IsHeldBack(low));
}

TEST_F(DomainTest, SeveralProcessesBelowHaveSlices)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  const Process other = Start(-20);
  Do(high, "hold");
  for (const Process* process : {&low, &other}) {
    Do(*process, "run");
    ASSERT_TRUE(IsHeldBack(*process));
    Do(*process, "floor 20");
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Proceeds(low));
    EXPECT_TRUE(Proceeds(other));
  }
}

// Wherever it is in its slice then.
TEST_F(DomainTest, AProcessThatEndsOrStopsInASliceHoldsNobodyBack)
{
  const Process high = Start(10);
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const Process low = Start(-10, {{"XSCHED_SLICE_US", "100000"}});
    Do(high, "hold");
    Do(low, "run");
    ASSERT_TRUE(IsHeldBack(low));
    Do(high, "release");
    Do(high, "run");
    Do(low, "floor 50");
    ASSERT_TRUE(Proceeds(low));
    // Most of the time it has one.
    if (signal == SIGSTOP) {
      low->Stop();
    } else {
      low->Signal(signal);
    }
    EXPECT_TRUE(Proceeds(high));
    EXPECT_TRUE(Proceeds(high));
    Do(high, "stop");
    low->Signal(SIGCONT);
  }
}

TEST_F(DomainTest, TheHigherProcessLooksAfterItsEndWhenOthersWait)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(high, "hold");
  Do(low, "run");
  ASSERT_TRUE(IsHeldBack(low));
  // From here on, no thread of the program calls the core.
  Do(high, "finish");
  EXPECT_TRUE(Proceeds(low));
}

TEST_F(DomainTest, AProcessThatIsKilledHoldsNobodyBack)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(high, "hold");
  Do(low, "run");
  ASSERT_TRUE(IsHeldBack(low));
  high->Signal(SIGKILL);
  EXPECT_LT(ToInt(Do(low, "pass")), kLimitMs);
  high->Wait();
}

TEST_F(DomainTest, AProcessThatIsStoppedHoldsNobodyBackUntilItGoesOn)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(high, "hold");
  Do(low, "run");
  ASSERT_TRUE(IsHeldBack(low));
  high->Stop();
  EXPECT_TRUE(Proceeds(low));
  EXPECT_TRUE(Proceeds(low));
  high->Signal(SIGCONT);
  std::this_thread::sleep_for(kWhile);
  EXPECT_TRUE(IsHeldBack(low));
  Do(high, "release");
  EXPECT_TRUE(Proceeds(low));
}

TEST_F(DomainTest, TheChildOfAProcessThatIsKilledHoldsNobodyBack)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(high, "hold");
  Do(high, "fork");
  high->Signal(SIGKILL);
  EXPECT_LT(ToInt(Do(low, "pass")), kLimitMs);
}

TEST_F(DomainTest, AProcessThatBecomesAnotherProgramHoldsNobodyBack)
{
  const Process high = Start(10);
  const Process low = Start(-10);
  Do(high, "hold");
  high->WriteLine("exec");
  EXPECT_LT(ToInt(Do(low, "pass")), kLimitMs);
}

// In the middle, one that runs ahead: it has work on its device, and calls that it
// believes to have made.
class RunAheadDomainTest : public DomainTest {
 protected:
  Process StartAhead(int priority)
  {
    return Start(priority, {{"XSCHED_RUN_AHEAD", "64"}});
  }

  static int Launched(const Process& process)
  {
    return ToInt(Do(process, "launched"));
  }

  // It has kept what it launched: it was not kept waiting.
  static void Keep(const Process& process, const Process& high)
  {
    Do(process, "hold");
    const int before = Launched(process);
    Do(high, "hold");
    // What the one has told may not have come to the other yet.
    ASSERT_TRUE(ComesTrue([&] {
      const int launched = Launched(process);
      Do(process, "keep");
      return Launched(process) == launched;
    }));
    EXPECT_GE(before, 1);
  }
};

TEST_F(RunAheadDomainTest, AProcessThatEndsWithKeptCallsHoldsNobodyBack)
{
  enum End { kKilled, kExec, kExit };
  for (const End end : {kKilled, kExec, kExit}) {
    const Process high = Start(10);
    const Process middle = StartAhead(0);
    const Process low = Start(-10);
    Keep(middle, high);
    Do(low, "run");
    ASSERT_TRUE(IsHeldBack(low));
    // The high one has nothing to do from here on, but the middle one has.
    if (end == kKilled) {
      middle->Signal(SIGKILL);
    } else if (end == kExec) {
      middle->WriteLine("exec");
    } else {
      middle->CloseInput();
    }
    Do(high, "release");
    EXPECT_LT(ToInt(Do(low, "pass")), kLimitMs) << end;
    Do(low, "stop");
  }
}

TEST_F(RunAheadDomainTest, WhatIsKeptGoesOnWhenAHigherProcessIsKilled)
{
  const Process high = Start(10);
  const Process middle = StartAhead(0);
  Keep(middle, high);
  const int before = Launched(middle);
  // None of the program's own threads calls the core, or waits in it.
  high->Signal(SIGKILL);
  EXPECT_TRUE(ComesTrue([&] { return Launched(middle) > before; }));
  Do(middle, "release");
}

// --- the folder and the file -------------------------------------------------

TEST_F(DomainTest, AFolderThatOthersCanWriteToIsRefused)
{
  mkdir(Folder().c_str(), 0700);
  chmod(Folder().c_str(), 0770);
  ExpectOnItsOwn(Start(0), "is writable by others; run chmod go-w on it");
}

TEST_F(DomainTest, AFolderOfAnotherUserIsRefused)
{
  if (geteuid() != 0) {
    // Every user has such a folder.
    ExpectOnItsOwn(
        Start(0, {{"XSCHED_DOMAIN_DIR", "/"}}), "belongs to another user");
    return;
  }
  mkdir(Folder().c_str(), 0700);
  ASSERT_EQ(chown(Folder().c_str(), 12345, 12345), 0);
  ExpectOnItsOwn(Start(0), "belongs to another user");
}

TEST_F(DomainTest, AFolderThatCannotBeMadeIsNamed)
{
  ExpectOnItsOwn(
      Start(0, {{"XSCHED_DOMAIN_DIR", "/proc/domain"}}),
      "/proc/domain cannot be created");
  ExpectOnItsOwn(
      Start(0, {{"XSCHED_DOMAIN_DIR", "domain"}}),
      "domain is not an absolute path");
}

TEST_F(DomainTest, ALinkIsNotFollowed)
{
  mkdir((folder_ / "elsewhere").c_str(), 0700);
  ASSERT_EQ(symlink((folder_ / "elsewhere").c_str(), Folder().c_str()), 0);
  ExpectOnItsOwn(Start(0), "cannot be opened");
}

void
WriteVersion(const std::string& file, uint32_t version)
{
  const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(
      pwrite(fd, &version, sizeof(version), sizeof(uint64_t)),
      static_cast<ssize_t>(sizeof(version)));
  close(fd);
}

TEST_F(DomainTest, AnotherVersionIsRefusedWhileItIsInUse)
{
  Process other = Start(10);
  WriteVersion(File(), 99);
  ExpectOnItsOwn(
      Start(0),
      "is in use by processes with version 99 of the layout; this one has "
      "version 3");
  // Once nobody uses it, it is replaced.
  other->Signal(SIGKILL);
  other->Wait();
  const Process high = Start(10);
  const Process low = Start(0);
  Do(high, "hold");
  Do(low, "run");
  EXPECT_TRUE(IsHeldBack(low));
}

TEST_F(DomainTest, AFileThatIsShortenedEndsTheDomainAndNobody)
{
  const Process high = Start(10);
  const Process low = Start(0);
  Do(high, "hold");
  Do(low, "run");
  ASSERT_TRUE(IsHeldBack(low));
  ASSERT_EQ(truncate(File().c_str(), 0), 0);
  EXPECT_TRUE(Proceeds(low)) << low->Errors();
  Do(high, "release");
  Do(high, "run");
  EXPECT_TRUE(Proceeds(high)) << high->Errors();
  EXPECT_TRUE(Says(high, "removed, shortened or overwritten"))
      << high->Errors();
  EXPECT_TRUE(Says(low, "removed, shortened or overwritten")) << low->Errors();
}

TEST_F(DomainTest, AFileThatIsOverwrittenHarmsNobodyForLong)
{
  const Process high = Start(10);
  const Process low = Start(0);
  Do(high, "hold");
  Do(low, "run");
  std::mt19937 random(1);
  const int fd = open(File().c_str(), O_RDWR | O_CLOEXEC);
  // All but the header: what is there mends itself.
  for (int i = 0; i < 20; ++i) {
    std::vector<char> noise(sizeof(Layout) - sizeof(xsched::domain::Header));
    std::generate(noise.begin(), noise.end(), [&] { return random() & 0xFF; });
    ASSERT_GT(
        pwrite(fd, noise.data(), noise.size(), sizeof(xsched::domain::Header)),
        0);
    std::this_thread::sleep_for(5ms);
  }
  std::this_thread::sleep_for(kWhile);
  EXPECT_TRUE(IsHeldBack(low));
  Do(high, "release");
  EXPECT_TRUE(Proceeds(low)) << low->Errors();
  // The header, too.
  ASSERT_GT(pwrite(fd, "scribbled", 9, 0), 0);
  close(fd);
  EXPECT_TRUE(Says(low, "removed, shortened or overwritten")) << low->Errors();
  EXPECT_TRUE(Proceeds(low)) << low->Errors();
}

// --- death anywhere ----------------------------------------------------------

// How many processes are killed: DOMAIN_KILLS.
int
Kills()
{
  const char* text = getenv("DOMAIN_KILLS");
  return text == nullptr ? DEFAULT_KILLS : atoi(text);
}

class Mapped {
 public:
  explicit Mapped(const std::string& file)
  {
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    memory_ = mmap(nullptr, sizeof(Layout), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
  }
  ~Mapped() { munmap(memory_, sizeof(Layout)); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  const Layout& Get() const { return *static_cast<const Layout*>(memory_); }

 private:
  void* memory_;
};

// Eight processes compete as fast as they can, and one after another is killed
// and another comes in its place. One below them all tells how long what a dead
// one left keeps it from its turn.
TEST_F(DomainTest, ProcessesMayDieAnywhere)
{
  constexpr int kProcesses = 8;
  const Process lowest = Start(-100);
  std::mt19937 random(static_cast<unsigned>(Kills()));
  unsigned seed = 0;
  int64_t longest_ms = 0;
  for (int kills = 0; kills < Kills(); kills += kProcesses) {
    std::vector<Process> processes;
    for (int i = 0; i < kProcesses; ++i) {
      processes.push_back(std::make_unique<ChildProcess>(
          std::vector<std::string>{
              kContender, Folder(), kDevice, std::to_string(++seed)},
          Environment{}));
    }
    for (const Process& process : processes) {
      ASSERT_EQ(process->ReadLine(), "ready");
    }
    for (const Process& process : processes) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      process->Signal(SIGKILL);
    }
    for (const Process& process : processes) {
      process->Wait();
    }
    const int64_t waited_ms = ToInt(Do(lowest, "pass"));
    longest_ms = std::max(longest_ms, waited_ms);
    ASSERT_LT(waited_ms, kLimitMs);
  }
  RecordProperty("longest_ms", static_cast<int>(longest_ms));
  std::cout << Kills() << " killed; the longest wait was " << longest_ms
            << " ms\n";
  // It did have to wait for what they left: else nothing was tried.
  EXPECT_GT(longest_ms, 0);
  // Nothing is left of them.
  const Mapped file(File());
  EXPECT_LE(file.Get().header.used.load(), kProcesses + 1u);
  EXPECT_TRUE(ComesTrue([&] {
    return Claim(file.Get().top.load()).Ready() == PRIORITY_NO_EXECUTE;
  }));
  EXPECT_TRUE(ComesTrue(
      [&] { return Claim(file.Get().top.load()).Ceiling() == -100; }));
}

}  // namespace

int
main(int argc, char** argv)
{
  testing::InitGoogleTest(&argc, argv);
  // A process that has ended is a failure of one test, not the end of all.
  signal(SIGPIPE, SIG_IGN);
  return RUN_ALL_TESTS();
}
