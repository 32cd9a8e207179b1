// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_LISTENER_H_
#define XSCHED_CONTROL_LISTENER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "control/file_descriptor.h"

namespace xsched {

// This process's control socket: a listening socket in the file system, with
// mode 0600. Opening it also removes the sockets that ended processes left in
// its directory.
class Listener {
 public:
  // Null, with the reason, on failure.
  static std::unique_ptr<Listener> Open(
      const std::string& directory, pid_t pid, std::string* error);

  const std::string& Path() const { return path_; }
  const FileDescriptor& Socket() const { return socket_; }

  // Call this before Close: anyone may replace a file with no listener.
  void RemoveFile() const;
  void Close() { socket_.Close(); }

 private:
  Listener(std::string path, FileDescriptor socket);

  const std::string path_;
  FileDescriptor socket_;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_LISTENER_H_
