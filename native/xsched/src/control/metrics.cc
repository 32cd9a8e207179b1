// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "control/file_descriptor.h"
#include "control/utf8.h"
#include "preempt/log.h"
#include "preempt/recent_use.h"

namespace xsched {
namespace {

std::string
LabelValue(const std::string& text)
{
  std::string value = "\"";
  for (const char c : ValidUtf8(text)) {
    if (c == '\\' || c == '"') {
      value += '\\';
    }
    if (c == '\n') {
      value += "\\n";
    } else {
      value += c;
    }
  }
  return value + '"';
}

// Always with a decimal point, whatever the application's locale.
std::string
Seconds(int64_t ns)
{
  ns = std::max<int64_t>(ns, 0);
  const std::string fraction = std::to_string(ns % 1000000000);
  return std::to_string(ns / 1000000000) + "." +
         std::string(9 - fraction.size(), '0') + fraction;
}

std::string
Ratio(int64_t part, int64_t whole)
{
  return Seconds(part * 1000000000 / whole);
}

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  std::string (*value)(const QueueReport& queue);
};

const Metric kMetrics[] = {
    {"xsched_queue_launches_total", "counter",
     "Launches that reached the driver.",
     [](const QueueReport& queue) {
       return std::to_string(queue.stats.launches);
     }},
    {"xsched_queue_blocked_total", "counter",
     "Launches that had to wait for other queues.",
     [](const QueueReport& queue) {
       return std::to_string(queue.stats.blocked);
     }},
    {"xsched_queue_blocked_seconds_total", "counter",
     "Time that launches waited for other queues; added when a wait ends.",
     [](const QueueReport& queue) { return Seconds(queue.stats.blocked_ns); }},
    {"xsched_queue_preemptions_total", "counter",
     "How often this queue made another one stop.",
     [](const QueueReport& queue) {
       return std::to_string(queue.stats.preemptions);
     }},
    {"xsched_queue_in_flight_seconds", "gauge",
     "Estimated GPU time in flight, for queues that can be preempted.",
     [](const QueueReport& queue) {
       return Seconds(queue.stats.in_flight_ns);
     }},
    {"xsched_queue_priority", "gauge", "Priority; larger is more urgent.",
     [](const QueueReport& queue) {
       return std::to_string(queue.stats.priority);
     }},
    {"xsched_queue_ready", "gauge",
     "1 while the queue has work that the device has not finished.",
     [](const QueueReport& queue) {
       return std::string(queue.ready ? "1" : "0");
     }},
    {"xsched_queue_waiting", "gauge",
     "1 while a launch waits for other queues.",
     [](const QueueReport& queue) {
       return std::string(queue.blocked ? "1" : "0");
     }},
    {"xsched_queue_floor_ratio", "gauge",
     "Share of the device's time that the queue's model gets at least while it "
     "has work; 0: none.",
     [](const QueueReport& queue) { return Ratio(queue.floor, 100); }},
    {"xsched_queue_floor_used_ratio", "gauge",
     "Share of the device's time that the queue's model had in the last two "
     "seconds; 0 without a floor or a weight.",
     [](const QueueReport& queue) {
       return Ratio(queue.recent_ns, RecentUse::kWindowNs);
     }},
    {"xsched_queue_kept_total", "counter",
     "Calls that were kept, to be made later.",
     [](const QueueReport& queue) { return std::to_string(queue.ahead.kept); }},
    {"xsched_queue_kept_pending", "gauge",
     "Kept calls that have not been made yet.",
     [](const QueueReport& queue) { return std::to_string(queue.pending); }},
    {"xsched_queue_kept_max", "gauge",
     "The most kept calls that there have been at a time.",
     [](const QueueReport& queue) { return std::to_string(queue.ahead.most); }},
    {"xsched_queue_kept_failed_total", "counter", "Kept calls that failed.",
     [](const QueueReport& queue) {
       return std::to_string(queue.ahead.failed);
     }},
    {"xsched_queue_no_room_total", "counter",
     "Calls that had to wait because too many were kept.",
     [](const QueueReport& queue) { return std::to_string(queue.ahead.full); }},
    {"xsched_queue_no_room_seconds_total", "counter",
     "Time that calls waited for room to be kept; added when a wait ends.",
     [](const QueueReport& queue) { return Seconds(queue.ahead.full_ns); }},
    {"xsched_queue_awaited_total", "counter",
     "How often something waited until kept calls had been made.",
     [](const QueueReport& queue) {
       return std::to_string(queue.ahead.awaited);
     }},
    {"xsched_queue_awaited_seconds_total", "counter",
     "Time that something waited until kept calls had been made; added when a "
     "wait ends.",
     [](const QueueReport& queue) { return Seconds(queue.ahead.awaited_ns); }},
};

struct DomainMetric {
  const char* name;
  const char* type;
  const char* help;
  std::string (*value)(const domain::Member::Report& process);
};

const DomainMetric kDomainMetrics[] = {
    {"xsched_domain_processes", "gauge",
     "Processes in the scheduling domain of the device, with this one.",
     [](const domain::Member::Report& process) {
       return std::to_string(process.processes);
     }},
    {"xsched_domain_device_seconds_total", "counter",
     "Device time of this process, as it has learned it.",
     [](const domain::Member::Report& process) {
       return Seconds(process.used_ns);
     }},
    {"xsched_domain_waiting", "gauge",
     "1 while a launch waits for another process.",
     [](const domain::Member::Report& process) {
       return std::string(process.waits ? "1" : "0");
     }},
    {"xsched_domain_blocking", "gauge",
     "1 while a launch of another process waits for this one.",
     [](const domain::Member::Report& process) {
       return std::string(process.holds_up ? "1" : "0");
     }},
};

void
AppendHead(
    const char* name, const char* type, const char* help, std::string* text)
{
  *text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name +
           " " + type + "\n";
}

std::string
ExpandPid(std::string path, pid_t pid)
{
  const std::string digits = std::to_string(pid);
  for (size_t at = path.find("%p"); at != std::string::npos;
       at = path.find("%p", at + digits.size())) {
    path.replace(at, 2, digits);
  }
  return path;
}

// Absolute, because the application may change its working directory.
std::string
Absolute(const std::string& path)
{
  char current[4096];
  if (path.empty() || path[0] == '/' ||
      getcwd(current, sizeof(current)) == nullptr) {
    return path;
  }
  return std::string(current) + "/" + path;
}

}  // namespace

std::string
RenderMetrics(
    const ProcessStatus& status, const std::vector<QueueReport>& queues,
    const std::vector<DomainReport>& domains)
{
  // A scrape of several processes' files must not contain two equal series.
  const std::string pid = "pid=" + LabelValue(std::to_string(status.pid));
  std::string text;
  AppendHead(
      "xsched_info", "gauge", "The process's configuration; always 1.", &text);
  text += "xsched_info{" + pid + ",version=" + LabelValue(status.shim.version) +
          ",driver=" + LabelValue(status.shim.driver) +
          ",policy=" + LabelValue(status.policy) +
          ",scheduler=" + LabelValue(status.scheduler) +
          ",mode=" + LabelValue(status.mode) + "} 1\n";
  for (const Metric& metric : kMetrics) {
    AppendHead(metric.name, metric.type, metric.help, &text);
    for (const QueueReport& queue : queues) {
      text += std::string(metric.name) + "{" + pid +
              ",queue=" + LabelValue(std::to_string(queue.id)) +
              ",name=" + LabelValue(queue.name) +
              ",device=" + LabelValue(std::to_string(queue.device)) + "} " +
              metric.value(queue) + "\n";
    }
  }
  for (const DomainMetric& metric : kDomainMetrics) {
    if (!domains.empty()) {
      AppendHead(metric.name, metric.type, metric.help, &text);
    }
    for (const DomainReport& domain : domains) {
      text += std::string(metric.name) + "{" + pid +
              ",device=" + LabelValue(std::to_string(domain.device)) + "} " +
              metric.value(domain.process) + "\n";
    }
  }
  return text;
}

MetricsFile::MetricsFile(const std::string& path, pid_t pid)
    : path_(Absolute(ExpandPid(path, pid))),
      // With the pid, because another process may use the same file.
      temporary_(path_ + "." + std::to_string(pid) + ".tmp")
{
}

void
MetricsFile::Write(const std::string& text)
{
  if (TryWrite(text)) {
    written_ = true;
    failing_ = false;
    return;
  }
  if (!failing_) {
    Log(LogLevel::kWarning,
        "cannot write metrics to %s: %s; correct XSCHED_METRICS_FILE or its "
        "folder (logged once)",
        path_.c_str(), strerror(errno));
  }
  failing_ = true;
}

bool
MetricsFile::TryWrite(const std::string& text) const
{
  // An earlier process with the same pid may have been killed halfway.
  unlink(temporary_.c_str());
  const FileDescriptor file(open(
      temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
      0644));
  if (!file.IsOpen()) {
    return false;
  }
  // Readable by the collector, whatever the umask.
  bool good = fchmod(file.Get(), 0644) == 0;
  for (size_t done = 0; good && done < text.size();) {
    const ssize_t count =
        write(file.Get(), text.data() + done, text.size() - done);
    good = count > 0 || (count < 0 && errno == EINTR);
    done += count > 0 ? count : 0;
  }
  if (good && rename(temporary_.c_str(), path_.c_str()) == 0) {
    return true;
  }
  const int reason = errno;
  unlink(temporary_.c_str());
  errno = reason;
  return false;
}

void
MetricsFile::Remove() const
{
  if (written_) {
    unlink(path_.c_str());
  }
}

}  // namespace xsched
