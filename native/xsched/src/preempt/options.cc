// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/options.h"

#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "preempt/log.h"
#include "preempt/name.h"
#include "preempt/policy.h"

namespace xsched {
namespace {

bool
ReadInteger(const char* name, int64_t least, int64_t greatest, int64_t* out)
{
  const char* text = getenv(name);
  if (text == nullptr || *text == '\0') {
    return false;
  }
  char* end = nullptr;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (errno != 0 || *end != '\0' || value < least || value > greatest) {
    Log(LogLevel::kWarning,
        "%s=%s is not an integer from %lld to %lld; ignored", name, text,
        static_cast<long long>(least), static_cast<long long>(greatest));
    return false;
  }
  *out = value;
  return true;
}

bool
ReadSwitch(const char* name, bool otherwise)
{
  const char* text = getenv(name);
  if (text == nullptr || *text == '\0') {
    return otherwise;
  }
  if (strcasecmp(text, "OFF") == 0 || strcmp(text, "0") == 0) {
    return false;
  }
  if (strcasecmp(text, "ON") == 0 || strcmp(text, "1") == 0) {
    return true;
  }
  Log(LogLevel::kWarning, "%s=%s is neither ON nor OFF; ignored", name, text);
  return otherwise;
}

// What XSched 1.2 reads and nothing here does.
constexpr struct {
  const char* name;
  const char* why;
} kWithoutMeaning[] = {
    {"XLOG_LEVEL", "use XSCHED_LOG_LEVEL"},
    {"XSCHED_AUTO_XQUEUE_DEADLINE", "no policy here knows deadlines"},
    {"XSCHED_AUTO_XQUEUE_KDEADLINE", "no policy here knows deadlines"},
    {"XSCHED_AUTO_XQUEUE_LAXITY", "no policy here knows laxity"},
    {"XSCHED_AUTO_XQUEUE_TIMESLICE", "no policy here has time slices"},
    {"XSCHED_AUTO_XQUEUE_UTILIZATION", "no policy here shares by utilization"},
    {"XSCHED_CUDA_LV3_IMPL", "preemption level 3 is not supported"},
    {"XSCHED_CUDA_SINGLE_STREAM_PER_PROCESS",
     "streams stay as the application makes them"},
    {"XSCHED_CUDART_LIB", "CUDA's runtime is not used"},
    {"XSCHED_CUPTI_LIB", "CUPTI is not used"},
    {"XSCHED_SCHEDULER_SUSPEND_SYNC_HWQ",
     "to hold a queue back, nothing is waited for"},
    {"XSCHED_SCHEDULER_SUSPEND_WAIT_ALL",
     "to hold a queue back, nothing is waited for"},
    {"XSCHED_SCHEDULER_SUSPEND_WAIT_IDLE",
     "to hold a queue back, nothing is waited for"},
};

// What has a meaning. XSCHED_REQUIRED is the Triton backend's.
constexpr const char* kWithMeaning[] = {
    "XSCHED_AUTO_XQUEUE",
    "XSCHED_AUTO_XQUEUE_BATCH_SIZE",
    "XSCHED_AUTO_XQUEUE_FLOOR",
    "XSCHED_AUTO_XQUEUE_LEVEL",
    "XSCHED_AUTO_XQUEUE_NAME",
    "XSCHED_AUTO_XQUEUE_PRIORITY",
    "XSCHED_AUTO_XQUEUE_THRESHOLD",
    "XSCHED_AUTO_XQUEUE_WEIGHT",
    "XSCHED_CONTROL",
    "XSCHED_CONTROL_DIR",
    "XSCHED_CUDA_LIB",
    "XSCHED_DOMAIN_DIR",
    "XSCHED_GANG",
    "XSCHED_INFLIGHT_US",
    "XSCHED_LOG_LEVEL",
    "XSCHED_METRICS_FILE",
    "XSCHED_METRICS_INTERVAL_MS",
    "XSCHED_POLICY",
    "XSCHED_REQUIRED",
    "XSCHED_RUN_AHEAD",
    "XSCHED_SCHEDULER",
    "XSCHED_SLICE_US",
};
constexpr char kOwn[] = "XSCHED_";
// Of the image and of what deploys it.
constexpr char kOfTriton[] = "XSCHED_TRITON_";

bool
BeginsWith(const std::string& text, const char* part)
{
  return text.compare(0, strlen(part), part) == 0;
}

// A variable that does nothing is a mistake, or an expectation that is not
// met: one line for each.
void
WarnOfIgnored()
{
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string name(*entry, strcspn(*entry, "="));
    const auto is_it = [&name](const char* known) { return name == known; };
    const auto* without = std::find_if(
        std::begin(kWithoutMeaning), std::end(kWithoutMeaning),
        [&](const auto& known) { return is_it(known.name); });
    if (without != std::end(kWithoutMeaning)) {
      Log(LogLevel::kWarning, "%s is ignored: %s", name.c_str(), without->why);
    } else if (
        BeginsWith(name, kOwn) && !BeginsWith(name, kOfTriton) &&
        std::none_of(std::begin(kWithMeaning), std::end(kWithMeaning), is_it)) {
      Log(LogLevel::kWarning, "%s is ignored: there is no such setting",
          name.c_str());
    }
  }
}

std::string
ReadText(const char* name)
{
  const char* text = getenv(name);
  return text == nullptr ? "" : text;
}

// What only a name can have; 0: none.
void
ReadOfName(const char* variable, int maximum, bool has_name, int* value)
{
  int64_t read = 0;
  if (!ReadInteger(variable, 0, maximum, &read) || read == 0) {
    return;
  }
  if (has_name) {
    *value = static_cast<int>(read);
  } else {
    Log(LogLevel::kWarning,
        "%s is ignored: it needs a name, which XSCHED_AUTO_XQUEUE_NAME gives",
        variable);
  }
}

Options
ReadOptions()
{
  Options options;
  WarnOfIgnored();
  const std::string policy = ReadText("XSCHED_POLICY");
  if (!policy.empty() && strcasecmp(policy.c_str(), "HPF") != 0) {
    Log(LogLevel::kWarning,
        "XSCHED_POLICY=%s is not supported (HPF); using HPF", policy.c_str());
  }
  const std::string scheduler = ReadText("XSCHED_SCHEDULER");
  if (strcasecmp(scheduler.c_str(), "APP") == 0) {
    // As in XSched, a policy is for the process's own scheduler.
    if (policy.empty()) {
      options.scheduler = kSchedulerAppManaged;
    } else {
      Log(LogLevel::kWarning,
          "XSCHED_SCHEDULER=%s is ignored: with XSCHED_POLICY the process "
          "schedules itself (LCL)",
          scheduler.c_str());
    }
  } else if (strcasecmp(scheduler.c_str(), "GLB") == 0) {
    options.scheduler = kSchedulerGlobal;
  } else if (!scheduler.empty() && strcasecmp(scheduler.c_str(), "LCL") != 0) {
    Log(LogLevel::kWarning,
        "XSCHED_SCHEDULER=%s is not supported (APP, GLB, LCL); using LCL",
        scheduler.c_str());
  }
  options.auto_xqueue = ReadSwitch("XSCHED_AUTO_XQUEUE", false);
  int64_t value = 0;
  if (ReadInteger("XSCHED_AUTO_XQUEUE_LEVEL", 1, 3, &value) && value == 3) {
    Log(LogLevel::kWarning,
        "XSCHED_AUTO_XQUEUE_LEVEL=3 is not supported (1, 2); using 2");
  }
  if (ReadInteger(
          "XSCHED_AUTO_XQUEUE_PRIORITY", PRIORITY_NO_EXECUTE, PRIORITY_MAX,
          &value)) {
    options.has_auto_priority = true;
    options.auto_priority = static_cast<Priority>(value);
  }
  options.auto_name = ReadText("XSCHED_AUTO_XQUEUE_NAME");
  if (!IsName(options.auto_name.c_str())) {
    Log(LogLevel::kWarning,
        "XSCHED_AUTO_XQUEUE_NAME is ignored: a name has at most %zu bytes and "
        "no control characters",
        kMaxName);
    options.auto_name.clear();
  }
  const bool has_name = !options.auto_name.empty();
  ReadOfName(
      "XSCHED_AUTO_XQUEUE_FLOOR", kMaxFloor, has_name, &options.auto_floor);
  ReadOfName(
      "XSCHED_AUTO_XQUEUE_WEIGHT", kMaxWeight, has_name, &options.auto_weight);
  ReadInteger(
      "XSCHED_AUTO_XQUEUE_THRESHOLD", 1, INT64_MAX, &options.auto_threshold);
  ReadInteger(
      "XSCHED_AUTO_XQUEUE_BATCH_SIZE", 1, INT64_MAX, &options.auto_batch_size);
  if (ReadInteger("XSCHED_INFLIGHT_US", 1, 1000000, &value)) {
    options.inflight_ns = value * 1000;
  }
  ReadInteger("XSCHED_RUN_AHEAD", 0, kMaxRunAhead, &options.run_ahead);
  if (ReadInteger("XSCHED_SLICE_US", 500, 100000, &value)) {
    options.slice_ns = value * 1000;
  }
  options.control = ReadSwitch("XSCHED_CONTROL", true);
  options.control_directory = ReadText("XSCHED_CONTROL_DIR");
  options.gang = ReadText("XSCHED_GANG");
  options.domain_directory = ReadText("XSCHED_DOMAIN_DIR");
  options.metrics_file = ReadText("XSCHED_METRICS_FILE");
  if (ReadInteger("XSCHED_METRICS_INTERVAL_MS", 100, 3600000, &value)) {
    options.metrics_interval_ns = value * 1000000;
  }
  return options;
}

}  // namespace

const Options&
GetOptions()
{
  // Never destroyed: launches may go on while the process exits.
  static const Options* options = new Options(ReadOptions());
  return *options;
}

}  // namespace xsched
