// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "ctl/processes.h"

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "control/socket_directory.h"

namespace xsched {
namespace {

// A starting process holds the lock only for an instant.
constexpr int64_t kLockNs = 200000000;

std::vector<Process>
FindAll(const std::vector<std::string>& directories)
{
  std::vector<Process> processes;
  for (const std::string& path : directories) {
    std::string error;
    const auto directory =
        SocketDirectory::Open(path, SocketDirectory::Missing::kFail, &error);
    if (directory == nullptr) {
      if (!error.empty()) {
        fprintf(stderr, "xsched-ctl: %s\n", error.c_str());
      }
      continue;
    }
    for (const pid_t pid : directory->Lock(kLockNs) ? directory->RemoveStale()
                                                    : directory->List()) {
      processes.push_back({pid, directory->SocketPath(pid)});
    }
  }
  return processes;
}

std::vector<std::string>
Directories()
{
  const char* given = getenv("XSCHED_CONTROL_DIR");
  return ControlDirectories(given == nullptr ? "" : given);
}

}  // namespace

std::vector<Process>
FindProcesses()
{
  return FindAll(Directories());
}

ExitCode
FindProcess(pid_t pid, std::string* socket)
{
  const std::vector<std::string> directories = Directories();
  std::vector<Process> found;
  for (Process& process : FindAll(directories)) {
    if (pid == 0 || process.pid == pid) {
      found.push_back(std::move(process));
    }
  }
  if (found.size() == 1) {
    *socket = found[0].socket;
    return kExitSuccess;
  }
  if (!found.empty()) {
    fprintf(
        stderr,
        "xsched-ctl: there are several processes; choose one with "
        "%s:\n",
        pid == 0 ? "--pid" : "--socket");
    for (const Process& process : found) {
      fprintf(
          stderr, "  %d  %s\n", static_cast<int>(process.pid),
          process.socket.c_str());
    }
    return kExitUsage;
  }
  std::string searched;
  for (const std::string& directory : directories) {
    searched += (searched.empty() ? "" : " and ") + directory;
  }
  const std::string which =
      pid == 0 ? "no process" : "no process " + std::to_string(pid);
  fprintf(
      stderr,
      "xsched-ctl: found %s with a control socket in %s; the first line of a "
      "process's log names its socket: run as the same user and set "
      "XSCHED_CONTROL_DIR, or give --socket\n",
      which.c_str(), searched.c_str());
  return kExitNoAnswer;
}

}  // namespace xsched
