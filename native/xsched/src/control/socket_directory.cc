// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/socket_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "preempt/clock.h"

namespace xsched {
namespace {

constexpr const char* kSuffix = ".sock";

// The pid in a socket's file name; 0 for any other file.
pid_t
PidOf(const std::string& name)
{
  const size_t digits = name.find_first_not_of("0123456789");
  if (digits == 0 || digits > 9 || name[0] == '0' ||
      name.compare(digits, std::string::npos, kSuffix) != 0) {
    return 0;
  }
  return static_cast<pid_t>(strtol(name.c_str(), nullptr, 10));
}

bool
IsSocket(int directory, const std::string& name)
{
  struct stat file;
  return fstatat(directory, name.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISSOCK(file.st_mode);
}

// Whether no process listens on a socket any more. This also works for
// processes of other PID namespaces, whose pids mean nothing here.
bool
IsStale(const std::string& path)
{
  struct sockaddr_un address;
  std::string error;
  const FileDescriptor peer(
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!peer.IsOpen() || !MakeAddress(path, &address, &error)) {
    return false;
  }
  return connect(
             peer.Get(), reinterpret_cast<struct sockaddr*>(&address),
             sizeof(address)) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

std::vector<std::string>
ControlDirectories(const std::string& given)
{
  if (!given.empty()) {
    return {given};
  }
  std::vector<std::string> directories;
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  // The specification says to ignore a relative path.
  if (runtime != nullptr && *runtime == '/') {
    directories.push_back(std::string(runtime) + "/xsched");
  }
  directories.push_back("/tmp/xsched-" + std::to_string(geteuid()));
  return directories;
}

bool
MakeAddress(
    const std::string& path, struct sockaddr_un* address, std::string* error)
{
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address->sun_path)) {
    *error = "the socket's path " + path + " has " +
             std::to_string(path.size()) + " bytes; it may have 1 to " +
             std::to_string(sizeof(address->sun_path) - 1) +
             "; set XSCHED_CONTROL_DIR to a shorter directory";
    return false;
  }
  memcpy(address->sun_path, path.data(), path.size());
  return true;
}

SocketDirectory::SocketDirectory(std::string path, FileDescriptor directory)
    : path_(std::move(path)), directory_(std::move(directory))
{
}

SocketDirectory::~SocketDirectory()
{
  // Closing would not unlock if a child was forked meanwhile.
  flock(directory_.Get(), LOCK_UN);
}

std::unique_ptr<SocketDirectory>
SocketDirectory::Open(
    const std::string& given, Missing missing, std::string* error)
{
  error->clear();
  std::string path = given;
  // With a trailing slash, a symbolic link would be followed.
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  const auto fail = [&](const std::string& reason) {
    *error = "the directory " + path + " " + reason;
    return nullptr;
  };
  if (path.empty() || path[0] != '/') {
    return fail("is not an absolute path; correct XSCHED_CONTROL_DIR");
  }
  if (missing == Missing::kCreate && mkdir(path.c_str(), 0700) != 0 &&
      errno != EEXIST) {
    return fail(
        std::string("cannot be created: ") + strerror(errno) +
        "; set XSCHED_CONTROL_DIR to a directory in a writable one");
  }
  FileDescriptor directory(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.IsOpen()) {
    if (errno == ENOENT && missing == Missing::kFail) {
      return nullptr;
    }
    return errno == ENOTDIR || errno == ELOOP
               ? fail(
                     "is a file or a symbolic link; remove it or set "
                     "XSCHED_CONTROL_DIR")
               : fail(std::string("cannot be opened: ") + strerror(errno));
  }
  struct stat status;
  if (fstat(directory.Get(), &status) != 0) {
    return fail(std::string("cannot be examined: ") + strerror(errno));
  }
  if (status.st_uid != geteuid()) {
    return fail(
        "belongs to the user " + std::to_string(status.st_uid) + ", not to " +
        std::to_string(geteuid()) +
        "; set XSCHED_CONTROL_DIR to a directory of this user");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(
        "is writable by others; run chmod go-w on it, or set "
        "XSCHED_CONTROL_DIR");
  }
  return std::unique_ptr<SocketDirectory>(
      new SocketDirectory(std::move(path), std::move(directory)));
}

std::string
SocketDirectory::SocketPath(pid_t pid) const
{
  return path_ + "/" + std::to_string(pid) + kSuffix;
}

bool
SocketDirectory::Lock(int64_t timeout_ns)
{
  const int64_t until_ns = NowNs() + timeout_ns;
  while (flock(directory_.Get(), LOCK_EX | LOCK_NB) != 0) {
    if ((errno != EWOULDBLOCK && errno != EINTR) || NowNs() > until_ns) {
      return false;
    }
    const struct timespec pause = {0, 5000000};
    nanosleep(&pause, nullptr);
  }
  return true;
}

std::vector<pid_t>
SocketDirectory::List() const
{
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(
      opendir(path_.c_str()), closedir);
  if (stream == nullptr) {
    return pids;
  }
  while (const struct dirent* entry = readdir(stream.get())) {
    const pid_t pid = PidOf(entry->d_name);
    if (pid != 0 && IsSocket(directory_.Get(), entry->d_name)) {
      pids.push_back(pid);
    }
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

std::vector<pid_t>
SocketDirectory::RemoveStale()
{
  std::vector<pid_t> pids = List();
  pids.erase(
      std::remove_if(
          pids.begin(), pids.end(),
          [this](pid_t pid) {
            const std::string path = SocketPath(pid);
            // A socket that cannot be removed is left out all the same.
            return IsStale(path) && (unlink(path.c_str()), true);
          }),
      pids.end());
  return pids;
}

}  // namespace xsched
