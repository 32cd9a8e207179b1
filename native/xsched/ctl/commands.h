// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The commands of xsched-ctl. Each works on the process behind a socket.

#ifndef XSCHED_CTL_COMMANDS_H_
#define XSCHED_CTL_COMMANDS_H_

#include <cstdint>
#include <string>

#include "ctl/exit_code.h"

namespace xsched {

ExitCode ListQueues(const std::string& socket);
// What can be changed of queues: the request that does it, and how it is shown.
struct Changeable {
  const char* request;
  const char* title;
  const char* unit;
};
// 'value' must be valid.
ExitCode Change(
    const std::string& socket, const Changeable& what, const std::string& queue,
    const std::string& value);
// The same in every process that has such a queue; one that starts meanwhile is
// one of them.
ExitCode ChangeEverywhere(
    const Changeable& what, const std::string& queue, const std::string& value);
ExitCode ShowStats(const std::string& socket, bool as_json);
// Of all processes.
ExitCode ShowStatsOfAll(bool as_json);
// Runs until the process ends or the user interrupts it.
ExitCode Watch(const std::string& socket, int64_t interval_ns);
ExitCode ShowStatus(const std::string& socket);

}  // namespace xsched

#endif  // XSCHED_CTL_COMMANDS_H_
