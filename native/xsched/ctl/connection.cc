// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "ctl/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "control/file_descriptor.h"
#include "control/socket_directory.h"
#include "preempt/clock.h"

namespace xsched {
namespace {

// A process that takes longer to answer hangs or is stopped.
constexpr int64_t kTimeoutNs = 5000000000;
// More than the answer for the largest number of queues.
constexpr size_t kMaxAnswer = 64 << 20;

// Waits for 'events'. Returns false with errno set on a timeout.
bool
Await(int fd, short events, int64_t until_ns)
{
  for (;;) {
    const int64_t rest_ns = until_ns - NowNs();
    if (rest_ns <= 0) {
      errno = ETIMEDOUT;
      return false;
    }
    struct pollfd polled = {fd, events, 0};
    const int found = poll(&polled, 1, static_cast<int>(rest_ns / 1000000 + 1));
    if (found > 0 || (found < 0 && errno != EINTR)) {
      return found > 0;
    }
  }
}

bool
Connect(int fd, const struct sockaddr_un& address, int64_t until_ns)
{
  while (connect(
             fd, reinterpret_cast<const struct sockaddr*>(&address),
             sizeof(address)) != 0) {
    // EAGAIN: many other clients are waiting, too.
    if (errno != EAGAIN && errno != EINTR) {
      return false;
    }
    if (NowNs() > until_ns) {
      errno = ETIMEDOUT;
      return false;
    }
    const struct timespec pause = {0, 5000000};
    nanosleep(&pause, nullptr);
  }
  return true;
}

bool
SendAll(int fd, const std::string& text, int64_t until_ns)
{
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count =
        send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += count;
    } else if (errno == EAGAIN) {
      if (!Await(fd, POLLOUT, until_ns)) {
        return false;
      }
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// Reads until the other side closes. Returns false with errno set on failure.
bool
ReceiveAll(int fd, int64_t until_ns, std::string* text)
{
  while (text->size() < kMaxAnswer) {
    char piece[65536];
    const ssize_t count = recv(fd, piece, sizeof(piece), 0);
    if (count == 0) {
      return true;
    }
    if (count > 0) {
      text->append(piece, count);
    } else if (errno == EAGAIN) {
      if (!Await(fd, POLLIN, until_ns)) {
        return false;
      }
    } else if (errno != EINTR) {
      return false;
    }
  }
  errno = EMSGSIZE;
  return false;
}

ExitCode
NoAnswer(
    const std::string& socket, const std::string& reason, std::string* problem)
{
  *problem = "no answer from " + socket + ": " + reason;
  return kExitNoAnswer;
}

}  // namespace

ExitCode
Ask(const std::string& path, const std::string& request, AnswerTable* table,
    std::string* problem)
{
  const int64_t until_ns = NowNs() + kTimeoutNs;
  struct sockaddr_un address;
  if (!MakeAddress(path, &address, problem)) {
    return kExitUsage;
  }
  const FileDescriptor connection(
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  std::string text;
  if (!connection.IsOpen() || !Connect(connection.Get(), address, until_ns) ||
      !SendAll(connection.Get(), request + "\n", until_ns) ||
      !ReceiveAll(connection.Get(), until_ns, &text)) {
    return NoAnswer(
        path,
        errno == ETIMEDOUT
            ? "the process did not answer within " +
                  std::to_string(kTimeoutNs / 1000000000) + " seconds"
            : strerror(errno),
        problem);
  }
  ParsedAnswer answer = ParseAnswer(text);
  switch (answer.kind) {
    case ParsedAnswer::Kind::kTable:
      *table = std::move(answer.table);
      return kExitSuccess;
    case ParsedAnswer::Kind::kError:
      *problem = answer.error;
      return kExitRefused;
    case ParsedAnswer::Kind::kIncomplete:
      break;
  }
  return NoAnswer(
      path, "the answer was cut off, because the process ended", problem);
}

ExitCode
Ask(const std::string& path, const std::string& request, AnswerTable* table)
{
  std::string problem;
  const ExitCode code = Ask(path, request, table, &problem);
  if (code != kExitSuccess) {
    fprintf(stderr, "xsched-ctl: %s\n", problem.c_str());
  }
  return code;
}

}  // namespace xsched
