// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_LOG_H_
#define XSCHED_PREEMPT_LOG_H_

#include "preempt/export.h"

namespace xsched {

enum class LogLevel { kError = 0, kWarning = 1, kInfo = 2 };

// Writes one line to standard error, at once and in one piece, if
// XSCHED_LOG_LEVEL (ERROR, WARN or INFO, the default) asks for the level.
XSCHED_INTERNAL void Log(LogLevel level, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

}  // namespace xsched

#endif  // XSCHED_PREEMPT_LOG_H_
