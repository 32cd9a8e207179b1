// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/child_process.h"
#include "control/metrics.h"
#include "fixture.h"

namespace {

using xsched::MetricsFile;
using xsched::ProcessStatus;
using xsched::QueueReport;
using xsched::RenderMetrics;

const TestFolder&
Folder()
{
  static const TestFolder folder;
  return folder;
}

// Before anything reads the environment.
const int kEnvironment =
    setenv("XSCHED_METRICS_FILE", (Folder() / "live-%p.prom").c_str(), 1) |
    setenv("XSCHED_METRICS_INTERVAL_MS", "100", 1);

// Prometheus' text format, read strictly.
class Exposition {
 public:
  using Labels = std::map<std::string, std::string>;
  struct Sample {
    std::string name;
    Labels labels;
    double value;
  };

  explicit Exposition(const std::string& text)
  {
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(text.back(), '\n');
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      ReadLine(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  const std::vector<Sample>& Samples() const { return samples_; }
  const std::map<std::string, std::string>& Types() const { return types_; }

  const Sample* Find(const std::string& name, const std::string& queue) const
  {
    for (const Sample& sample : samples_) {
      const auto label = sample.labels.find("queue");
      if (sample.name == name && label != sample.labels.end() &&
          label->second == queue) {
        return &sample;
      }
    }
    return nullptr;
  }

 private:
  static std::string TakeName(const std::string& line, size_t* at)
  {
    const size_t begin = *at;
    while (*at < line.size() && (isalpha(line[*at]) || line[*at] == '_' ||
                                 (*at > begin && isdigit(line[*at])))) {
      ++*at;
    }
    EXPECT_GT(*at, begin) << line;
    return line.substr(begin, *at - begin);
  }

  static std::string TakeValue(const std::string& line, size_t* at)
  {
    std::string value;
    EXPECT_EQ(line[(*at)++], '"') << line;
    while (*at < line.size() && line[*at] != '"') {
      if (line[*at] != '\\') {
        value += line[(*at)++];
        continue;
      }
      const char escaped = line[*at + 1];
      EXPECT_TRUE(escaped == '\\' || escaped == '"' || escaped == 'n') << line;
      value += escaped == 'n' ? '\n' : escaped;
      *at += 2;
    }
    EXPECT_EQ(line[(*at)++], '"') << line;
    return value;
  }

  void ReadLine(const std::string& line)
  {
    if (line.rfind("# HELP ", 0) == 0) {
      size_t at = 7;
      EXPECT_TRUE(helps_.insert(TakeName(line, &at)).second) << line;
      EXPECT_EQ(line[at], ' ');
      return;
    }
    if (line.rfind("# TYPE ", 0) == 0) {
      size_t at = 7;
      const std::string name = TakeName(line, &at);
      const std::string type = line.substr(at + 1);
      EXPECT_TRUE(type == "counter" || type == "gauge") << line;
      EXPECT_TRUE(types_.emplace(name, type).second) << line;
      EXPECT_EQ(helps_.count(name), 1u) << line;
      last_type_ = name;
      return;
    }
    size_t at = 0;
    Sample sample;
    sample.name = TakeName(line, &at);
    // The samples of a metric follow its type.
    EXPECT_EQ(sample.name, last_type_) << line;
    ASSERT_EQ(line[at++], '{') << line;
    while (at < line.size() && line[at] != '}') {
      const std::string label = TakeName(line, &at);
      ASSERT_EQ(line[at++], '=') << line;
      EXPECT_TRUE(sample.labels.emplace(label, TakeValue(line, &at)).second)
          << line;
      if (line[at] == ',') {
        ++at;
      }
    }
    ASSERT_EQ(line.substr(at, 2), "} ") << line;
    char* end = nullptr;
    const std::string number = line.substr(at + 2);
    sample.value = strtod(number.c_str(), &end);
    EXPECT_TRUE(!number.empty() && *end == '\0') << line;
    EXPECT_TRUE(series_.insert(line.substr(0, at)).second) << line;
    samples_.push_back(sample);
  }

  std::set<std::string> helps_;
  std::map<std::string, std::string> types_;
  std::string last_type_;
  std::set<std::string> series_;
  std::vector<Sample> samples_;
};

ProcessStatus
SomeStatus()
{
  ProcessStatus status = {};
  status.shim = {"1.2.0", "/lib/libcuda.so.1"};
  status.pid = 17;
  status.policy = "HPF";
  status.scheduler = "LCL";
  status.mode = "explicit";
  return status;
}

TEST(MetricsTest, EveryMetricHasItsValue)
{
  QueueReport queue = {};
  queue.id = 4;
  queue.device = 2;
  queue.name = "a\"b\\c\xFF/0";
  queue.ready = true;
  queue.stats.launches = 10;
  queue.stats.blocked = 3;
  queue.stats.blocked_ns = INT64_C(1234567890123);
  queue.stats.preemptions = 5;
  queue.stats.in_flight_ns = 150000;
  queue.stats.priority = -255;
  queue.floor = 20;
  queue.recent_ns = 375000000;
  queue.pending = 6;
  queue.ahead = {100, 32, 2, 7, 1500000000, 8, 2500000000};
  QueueReport other = queue;
  other.id = 5;
  other.ready = false;
  other.blocked = true;
  const Exposition metrics(RenderMetrics(SomeStatus(), {queue, other}));
  const std::map<std::string, double> expected = {
      {"xsched_queue_launches_total", 10},
      {"xsched_queue_blocked_total", 3},
      {"xsched_queue_blocked_seconds_total", 1234.567890123},
      {"xsched_queue_preemptions_total", 5},
      {"xsched_queue_in_flight_seconds", 0.00015},
      {"xsched_queue_priority", -255},
      {"xsched_queue_ready", 1},
      {"xsched_queue_waiting", 0},
      {"xsched_queue_floor_ratio", 0.2},
      {"xsched_queue_floor_used_ratio", 0.1875},
      {"xsched_queue_kept_total", 100},
      {"xsched_queue_kept_pending", 6},
      {"xsched_queue_kept_max", 32},
      {"xsched_queue_kept_failed_total", 2},
      {"xsched_queue_no_room_total", 7},
      {"xsched_queue_no_room_seconds_total", 1.5},
      {"xsched_queue_awaited_total", 8},
      {"xsched_queue_awaited_seconds_total", 2.5},
  };
  for (const auto& metric : expected) {
    const auto* sample = metrics.Find(metric.first, "4");
    ASSERT_NE(sample, nullptr) << metric.first;
    EXPECT_DOUBLE_EQ(sample->value, metric.second) << metric.first;
    EXPECT_EQ(sample->labels.at("name"), "a\"b\\c\xEF\xBF\xBD/0");
    EXPECT_EQ(sample->labels.at("device"), "2");
    EXPECT_EQ(sample->labels.at("pid"), "17");
    const bool total = metric.first.rfind("_total") != std::string::npos;
    EXPECT_EQ(metrics.Types().at(metric.first), total ? "counter" : "gauge");
  }
  EXPECT_EQ(metrics.Find("xsched_queue_ready", "5")->value, 0);
  EXPECT_EQ(metrics.Find("xsched_queue_waiting", "5")->value, 1);
  EXPECT_EQ(metrics.Samples()[0].name, "xsched_info");
  EXPECT_EQ(metrics.Samples()[0].value, 1);
  EXPECT_EQ(metrics.Samples()[0].labels.at("policy"), "HPF");
}

TEST(MetricsTest, DomainsHaveTheirOwn)
{
  const Exposition metrics(RenderMetrics(
      SomeStatus(), {},
      {{0, {3, 1500000000, true, false}}, {1, {2, 0, false, true}}}));
  const std::map<std::string, std::pair<double, double>> expected = {
      {"xsched_domain_processes", {3, 2}},
      {"xsched_domain_device_seconds_total", {1.5, 0}},
      {"xsched_domain_waiting", {1, 0}},
      {"xsched_domain_blocking", {0, 1}},
  };
  EXPECT_EQ(metrics.Samples().size(), 1 + 2 * expected.size());
  std::map<std::string, std::map<std::string, double>> found;
  for (const Exposition::Sample& sample : metrics.Samples()) {
    if (sample.name != "xsched_info") {
      EXPECT_EQ(sample.labels.at("pid"), "17");
      found[sample.name][sample.labels.at("device")] = sample.value;
    }
  }
  for (const auto& metric : expected) {
    EXPECT_EQ(found[metric.first]["0"], metric.second.first) << metric.first;
    EXPECT_EQ(found[metric.first]["1"], metric.second.second) << metric.first;
  }
}

TEST(MetricsTest, NoQueuesIsValid)
{
  const Exposition metrics(RenderMetrics(SomeStatus(), {}));
  EXPECT_EQ(metrics.Samples().size(), 1u);
}

TEST(MetricsTest, ReadersNeverSeeAPart)
{
  MetricsFile file(Folder() / "whole-%p-%p.prom", 17);
  EXPECT_EQ(file.Path(), Folder() / "whole-17-17.prom");
  const std::string one(200000, '1');
  const std::string two(100000, '2');
  file.Write(one);
  struct stat status;
  ASSERT_EQ(stat(file.Path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644u);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop.load(); ++i) {
      file.Write(i % 2 == 0 ? two : one);
    }
  });
  for (int i = 0; i < 500; ++i) {
    const std::string text = ReadFile(file.Path());
    EXPECT_TRUE(text == one || text == two) << text.size();
  }
  stop.store(true);
  writer.join();
  file.Remove();
  EXPECT_FALSE(Exists(file.Path()));
}

TEST(MetricsTest, FolderThatCannotBeWrittenGivesOneWarning)
{
  const std::string folder = Folder() / "later";
  MetricsFile file(folder + "/x.prom", 17);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 5; ++i) {
    file.Write("x\n");
  }
  const std::string first = testing::internal::GetCapturedStderr();
  EXPECT_EQ(
      first, "[xsched WARN] cannot write metrics to " + folder +
                 "/x.prom: No such file or directory; correct "
                 "XSCHED_METRICS_FILE or its folder (logged once)\n");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  file.Write("x\n");
  EXPECT_EQ(ReadFile(file.Path()), "x\n");
  EXPECT_EQ(FilesIn(folder), std::vector<std::string>{"x.prom"});
  file.Remove();
}

TEST(MetricsTest, WhatIsInTheWayIsLeftAlone)
{
  const std::string folder = Folder() / "folder.prom";
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  MetricsFile file(folder, 17);
  testing::internal::CaptureStderr();
  file.Write("x\n");
  EXPECT_NE(testing::internal::GetCapturedStderr(), "");
  file.Remove();
  EXPECT_TRUE(Exists(folder));
  EXPECT_FALSE(Exists(folder + ".17.tmp"));
}

TEST(MetricsTest, LeftoverOfAKilledProcessIsReplaced)
{
  const std::string path = Folder() / "killed.prom";
  const std::string victim = Folder() / "victim";
  ASSERT_EQ(symlink(victim.c_str(), (path + ".17.tmp").c_str()), 0);
  MetricsFile file(path, 17);
  file.Write("x\n");
  EXPECT_EQ(ReadFile(path), "x\n");
  EXPECT_FALSE(Exists(victim));  // links are not followed
  EXPECT_FALSE(Exists(path + ".17.tmp"));
  file.Remove();
}

class LiveMetricsTest : public DriverTest {};

TEST_F(LiveMetricsTest, FileFollowsTheQueues)
{
  ASSERT_EQ(kEnvironment, 0);
  const std::string path =
      Folder() / ("live-" + std::to_string(getpid()) + ".prom");
  TestStream queue(7);
  ASSERT_EQ(XQueueSetName(queue.Queue(), "live/0"), kXSchedSuccess);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(queue.Launch(simulated::Kernel(1)), 0);
  }
  ASSERT_EQ(queue.Synchronize(), 0);
  for (bool seen = false; !seen;) {
    const std::string text = ReadFile(path);
    if (text.empty()) {
      std::this_thread::yield();
      continue;  // not written for the first time yet
    }
    const Exposition metrics(text);
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(metrics.Types().size(), 19u);
    for (const auto& sample : metrics.Samples()) {
      seen =
          seen || (sample.name == "xsched_queue_launches_total" &&
                   sample.labels.at("name") == "live/0" && sample.value == 3);
    }
  }
}

}  // namespace
