// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The macros of Triton's backend utilities that the backend's sources use.

#ifndef STAND_IN_BACKEND_COMMON_H_
#define STAND_IN_BACKEND_COMMON_H_

#include <string>

#include "triton/core/tritonserver.h"

namespace stand_in {

// Logs and deletes an error, if there is one.
inline void
LogAndDelete(TRITONSERVER_Error* error, const std::string& what)
{
  if (error != nullptr) {
    const std::string line = what + ": " + TRITONSERVER_ErrorMessage(error);
    TRITONSERVER_ErrorDelete(error);
    TRITONSERVER_LogMessage(
        TRITONSERVER_LOG_INFO, __FILE__, __LINE__, line.c_str());
  }
}

}  // namespace stand_in

#define RETURN_IF_ERROR(X)                         \
  do {                                             \
    if (TRITONSERVER_Error* error_of_call = (X)) { \
      return error_of_call;                        \
    }                                              \
  } while (false)

#define RETURN_ERROR_IF_TRUE(P, C, MSG)               \
  do {                                                \
    if (P) {                                          \
      return TRITONSERVER_ErrorNew(C, (MSG).c_str()); \
    }                                                 \
  } while (false)

#define RETURN_ERROR_IF_FALSE(P, C, MSG) RETURN_ERROR_IF_TRUE(!(P), C, MSG)

#define LOG_IF_ERROR(X, MSG) stand_in::LogAndDelete((X), (MSG))

#define LOG_MESSAGE(LEVEL, MSG) \
  LOG_IF_ERROR(                 \
      TRITONSERVER_LogMessage(LEVEL, __FILE__, __LINE__, MSG), "not logged")

#endif  // STAND_IN_BACKEND_COMMON_H_
