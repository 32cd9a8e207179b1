// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_PROCESSES_H_
#define XSCHED_CTL_PROCESSES_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "ctl/exit_code.h"

namespace xsched {

struct Process {
  pid_t pid;
  std::string socket;
};

// All processes with a control socket. Removes the sockets that ended ones left
// behind, and prints an error for each folder that cannot be used.
std::vector<Process> FindProcesses();

// Finds the control socket of the process 'pid' or, if that is 0, of the only
// process. If there is none, or more than one, prints an error on standard
// error. Removes the sockets that ended processes left behind.
ExitCode FindProcess(pid_t pid, std::string* socket);

}  // namespace xsched

#endif  // XSCHED_CTL_PROCESSES_H_
