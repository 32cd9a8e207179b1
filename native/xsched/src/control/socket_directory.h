// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The directory of the control sockets, <directory>/<pid>.sock.

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

// The directories where the calling user's sockets can be. A process creates
// its own in the first one; xsched-ctl searches all, because its environment
// may differ. If 'given' (XSCHED_CONTROL_DIR) is not empty, only that one;
// otherwise $XDG_RUNTIME_DIR/xsched, if set, and /tmp/xsched-<uid>.
std::vector<std::string> ControlDirectories(const std::string& given);

// False, with the reason, if the path is too long for a socket.
bool MakeAddress(
    const std::string& path, struct sockaddr_un* address, std::string* error);

// A directory that only its owner, the caller, can write to, so nobody else can
// have put a socket there.
class SocketDirectory {
 public:
  enum class Missing { kCreate, kFail };

  // Null, with the reason, if there is no such directory. 'error' stays empty
  // if it just does not exist.
  static std::unique_ptr<SocketDirectory> Open(
      const std::string& path, Missing missing, std::string* error);
  ~SocketDirectory();
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;

  const std::string& Path() const { return path_; }
  std::string SocketPath(pid_t pid) const;

  // Keeps other processes from creating and removing sockets until this object
  // is destroyed. False if another process holds the lock for 'timeout_ns'.
  bool Lock(int64_t timeout_ns);
  // Removes the sockets of ended processes and returns the others. Needs the
  // lock: a process that is about to listen looks like an ended one.
  std::vector<pid_t> RemoveStale();
  // All sockets, including those of ended processes.
  std::vector<pid_t> List() const;

 private:
  SocketDirectory(std::string path, FileDescriptor directory);

  const std::string path_;
  FileDescriptor directory_;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_SOCKET_DIRECTORY_H_
