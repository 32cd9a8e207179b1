// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_LISTENER_H_
#define XSCHED_CONTROL_LISTENER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "control/file_descriptor.h"

namespace xsched {

// The control socket of this process, in the file system and listening, with
// mode 0600. Sockets that ended processes left in its directory are removed
// on the way.
class Listener {
 public:
  // Null, and why, if it cannot be had.
  static std::unique_ptr<Listener> Open(
      const std::string& directory, pid_t pid, std::string* error);

  const std::string& Path() const { return path_; }
  const FileDescriptor& Socket() const { return socket_; }

  // Before Close: a file behind which nobody listens is anybody's to replace.
  void RemoveFile() const;
  void Close() { socket_.Close(); }

 private:
  Listener(std::string path, FileDescriptor socket);

  const std::string path_;
  FileDescriptor socket_;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_LISTENER_H_
