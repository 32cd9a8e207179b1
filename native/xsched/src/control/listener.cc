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
// How long to wait for another process to create its socket before going on
// without the lock.
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
  // The mode is set before the file exists, so nobody can connect in between.
  if (!listening.IsOpen() || fchmod(listening.Get(), 0600) != 0) {
    *error = std::string("cannot create a socket: ") + strerror(errno);
    return nullptr;
  }
  if (bind(
          listening.Get(), reinterpret_cast<struct sockaddr*>(&address),
          sizeof(address)) != 0) {
    *error =
        path + (errno == EADDRINUSE
                    ? " already exists and belongs to a process in another PID "
                      "namespace, or is not a socket; set XSCHED_CONTROL_DIR "
                      "to a directory for this process alone"
                    : std::string(" cannot be created: ") + strerror(errno));
    return nullptr;
  }
  std::unique_ptr<Listener> listener(new Listener(path, std::move(listening)));
  // Again, because an unusual umask may have removed more.
  if (chmod(path.c_str(), 0600) != 0 ||
      listen(listener->Socket().Get(), kBacklog) != 0) {
    *error = path + ": cannot listen: " + strerror(errno);
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
