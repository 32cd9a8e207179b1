// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Where the control sockets of processes are: <directory>/<pid>.sock.

#ifndef XSCHED_CONTROL_SOCKET_DIRECTORY_H_
#define XSCHED_CONTROL_SOCKET_DIRECTORY_H_

#include <sys/types.h>
#include <sys/un.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/file_descriptor.h"

namespace xsched {

// Where sockets can be, for the calling user. A process makes its own in the
// first; the tool looks in all, as its environment may be another one. If
// 'given' (XSCHED_CONTROL_DIR) is not empty, that one only; otherwise
// $XDG_RUNTIME_DIR/xsched, if that is set, and /tmp/xsched-<uid>.
std::vector<std::string> ControlDirectories(const std::string& given);

// False, and why, if the path is too long for a socket.
bool MakeAddress(
    const std::string& path, struct sockaddr_un* address, std::string* error);

// A directory that only its owner, who is the caller, can write into: nobody
// else can have put a socket there.
class SocketDirectory {
 public:
  enum class Missing { kCreate, kFail };

  // Null, and why, if there is no such directory. 'error' stays empty if the
  // only reason is that it does not exist.
  static std::unique_ptr<SocketDirectory> Open(
      const std::string& path, Missing missing, std::string* error);
  ~SocketDirectory();
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;

  const std::string& Path() const { return path_; }
  std::string SocketPath(pid_t pid) const;

  // Keeps other processes from removing and making sockets, until the object
  // is destroyed. False if somebody else does for 'timeout_ns'.
  bool Lock(int64_t timeout_ns);
  // Removes the sockets of processes that have ended; returns the others.
  // Only with the lock: a process that is about to listen looks like one that
  // has ended.
  std::vector<pid_t> RemoveStale();
  // All sockets, also those of processes that have ended.
  std::vector<pid_t> List() const;

 private:
  SocketDirectory(std::string path, FileDescriptor directory);

  const std::string path_;
  FileDescriptor directory_;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_SOCKET_DIRECTORY_H_
