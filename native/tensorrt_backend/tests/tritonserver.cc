// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "tritonserver.h"

#include <atomic>
#include <mutex>

struct TRITONSERVER_Error {
  TRITONSERVER_Error_Code code;
  std::string message;
};

namespace {

std::mutex log_mutex;
std::vector<server::LogLine> log_lines;
std::atomic<int> live_errors{0};

}  // namespace

namespace server {

std::vector<LogLine>
TakeLog()
{
  std::lock_guard<std::mutex> lock(log_mutex);
  std::vector<LogLine> lines;
  lines.swap(log_lines);
  return lines;
}

int
LiveErrors()
{
  return live_errors.load();
}

std::string
MessageOf(TRITONSERVER_Error* error)
{
  if (error == nullptr) {
    return "";
  }
  const std::string message = error->message;
  TRITONSERVER_ErrorDelete(error);
  return message;
}

}  // namespace server

extern "C" {

TRITONSERVER_Error*
TRITONSERVER_ErrorNew(TRITONSERVER_Error_Code code, const char* message)
{
  live_errors.fetch_add(1);
  return new TRITONSERVER_Error{code, message};
}

void
TRITONSERVER_ErrorDelete(TRITONSERVER_Error* error)
{
  live_errors.fetch_sub(1);
  delete error;
}

TRITONSERVER_Error_Code
TRITONSERVER_ErrorCode(TRITONSERVER_Error* error)
{
  return error->code;
}

const char*
TRITONSERVER_ErrorCodeString(TRITONSERVER_Error*)
{
  return "error";
}

const char*
TRITONSERVER_ErrorMessage(TRITONSERVER_Error* error)
{
  return error->message.c_str();
}

TRITONSERVER_Error*
TRITONSERVER_LogMessage(
    TRITONSERVER_LogLevel level, const char*, const int, const char* message)
{
  std::lock_guard<std::mutex> lock(log_mutex);
  log_lines.push_back({level, message});
  return nullptr;
}

}  // extern "C"
