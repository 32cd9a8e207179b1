// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_CONNECTION_H_
#define XSCHED_CTL_CONNECTION_H_

#include <string>

#include "control/protocol.h"
#include "ctl/exit_code.h"

namespace xsched {

// Sends one request to the process behind a socket. Fills 'answer' on success,
// otherwise 'problem'.
ExitCode Ask(
    const std::string& socket, const std::string& request, AnswerTable* answer,
    std::string* problem);
// The same, but prints the problem on standard error.
ExitCode Ask(
    const std::string& socket, const std::string& request, AnswerTable* answer);

}  // namespace xsched

#endif  // XSCHED_CTL_CONNECTION_H_
