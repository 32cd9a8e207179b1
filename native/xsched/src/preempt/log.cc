// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/log.h"

#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace xsched {
namespace {

constexpr const char* kNames[] = {"ERROR", "WARN", "INFO"};

LogLevel
ConfiguredLevel()
{
  const char* value = getenv("XSCHED_LOG_LEVEL");
  for (int i = 0; value != nullptr && i < 3; ++i) {
    if (strcmp(value, kNames[i]) == 0) {
      return static_cast<LogLevel>(i);
    }
  }
  return LogLevel::kInfo;
}

}  // namespace

void
Log(LogLevel level, const char* format, ...)
{
  static const LogLevel configured = ConfiguredLevel();
  if (level > configured) {
    return;
  }
  char line[1024];
  int length = snprintf(
      line, sizeof(line), "[xsched %s] ", kNames[static_cast<int>(level)]);
  va_list arguments;
  va_start(arguments, format);
  length +=
      vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
  va_end(arguments);
  length = std::min<int>(length, sizeof(line) - 2);
  line[length++] = '\n';
  // Nothing is lost but the line if standard error is closed.
  if (write(STDERR_FILENO, line, length) < 0) {
    return;
  }
}

}  // namespace xsched
