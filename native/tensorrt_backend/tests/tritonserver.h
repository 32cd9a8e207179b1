// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The tests' stand-in for the server. It records what it is told.

#ifndef XSCHED_BACKEND_TESTS_TRITONSERVER_H_
#define XSCHED_BACKEND_TESTS_TRITONSERVER_H_

#include <string>
#include <vector>

#include "triton/core/tritonserver.h"

namespace server {

struct LogLine {
  TRITONSERVER_LogLevel level;
  std::string text;
};

// The lines logged since the last call.
std::vector<LogLine> TakeLog();

// The number of errors that have not been deleted.
int LiveErrors();

// The message of 'error', or "" for success. Deletes 'error'.
std::string MessageOf(TRITONSERVER_Error* error);

}  // namespace server

#endif  // XSCHED_BACKEND_TESTS_TRITONSERVER_H_
