// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "control/socket_directory.h"

namespace xsched {
namespace {

constexpr int kBacklog = 128;
// How long another process may take to make its socket before this one goes
// on without order between them.
constexpr int64_t kLockNs = 1000000000;

}  // namespace

Listener::Listener(std::string path, FileDescriptor socket)
    : path_(std::move(path)), socket_(std::move(socket))
{
}

std::unique_ptr<Listener>
Listener::Open(const std::string& directory_path, pid_t pid, std::string* error)
{
  const auto directory = SocketDirectory::Open(
      directory_path, SocketDirectory::Missing::kCreate, error);
  if (directory == nullptr) {
    return nullptr;
  }
  const std::string path = directory->SocketPath(pid);
  struct sockaddr_un address;
  if (!MakeAddress(path, &address, error)) {
    return nullptr;
  }
  if (directory->Lock(kLockNs)) {
    directory->RemoveStale();
  }
  FileDescriptor listening(
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The mode before there is a file: nobody can connect in between.
  if (!listening.IsOpen() || fchmod(listening.Get(), 0600) != 0) {
    *error = std::string("no socket can be made: ") + strerror(errno);
    return nullptr;
  }
  if (bind(
          listening.Get(), reinterpret_cast<struct sockaddr*>(&address),
          sizeof(address)) != 0) {
    *error =
        path + (errno == EADDRINUSE
                    ? " is there already and belongs to a process of another "
                      "PID namespace, or is no socket; set XSCHED_CONTROL_DIR "
                      "to a directory of this process's own"
                    : std::string(" cannot be made: ") + strerror(errno));
    return nullptr;
  }
  std::unique_ptr<Listener> listener(new Listener(path, std::move(listening)));
  // Again, as a strange umask can have taken more away.
  if (chmod(path.c_str(), 0600) != 0 ||
      listen(listener->Socket().Get(), kBacklog) != 0) {
    *error = path + " cannot be listened at: " + strerror(errno);
    listener->RemoveFile();
    return nullptr;
  }
  return listener;
}

void
Listener::RemoveFile() const
{
  unlink(path_.c_str());
}

}  // namespace xsched
