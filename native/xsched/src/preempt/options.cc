// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/options.h"

#include <strings.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "preempt/log.h"

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
    Log(LogLevel::kWarning, "%s=%s is not an integer from %lld to %lld; ignored",
        name, text, static_cast<long long>(least),
        static_cast<long long>(greatest));
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

std::string
ReadText(const char* name)
{
  const char* text = getenv(name);
  return text == nullptr ? "" : text;
}

Options
ReadOptions()
{
  Options options;
  const char* scheduler = getenv("XSCHED_SCHEDULER");
  if (scheduler != nullptr && strcmp(scheduler, "APP") == 0) {
    options.scheduler = kSchedulerAppManaged;
  } else if (
      scheduler != nullptr && *scheduler != '\0' &&
      strcmp(scheduler, "LCL") != 0) {
    Log(LogLevel::kWarning,
        "XSCHED_SCHEDULER=%s is not supported (APP, LCL); using LCL",
        scheduler);
  }
  const char* policy = getenv("XSCHED_POLICY");
  if (policy != nullptr && *policy != '\0' && strcmp(policy, "HPF") != 0) {
    Log(LogLevel::kWarning,
        "XSCHED_POLICY=%s is not supported (HPF); using HPF", policy);
  }
  options.auto_xqueue = ReadSwitch("XSCHED_AUTO_XQUEUE", false);
  int64_t value = 0;
  if (ReadInteger(
          "XSCHED_AUTO_XQUEUE_PRIORITY", PRIORITY_NO_EXECUTE, PRIORITY_MAX,
          &value)) {
    options.has_auto_priority = true;
    options.auto_priority = static_cast<Priority>(value);
  }
  ReadInteger(
      "XSCHED_AUTO_XQUEUE_THRESHOLD", 1, INT64_MAX, &options.auto_threshold);
  ReadInteger(
      "XSCHED_AUTO_XQUEUE_BATCH_SIZE", 1, INT64_MAX, &options.auto_batch_size);
  if (ReadInteger("XSCHED_INFLIGHT_US", 1, 1000000, &value)) {
    options.inflight_ns = value * 1000;
  }
  options.control = ReadSwitch("XSCHED_CONTROL", true);
  options.control_directory = ReadText("XSCHED_CONTROL_DIR");
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
