// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/raw_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

RawClient::RawClient() : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}

RawClient::RawClient(const std::string& socket) : RawClient()
{
  Connect(socket);
}

void
RawClient::Connect(const std::string& path)
{
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  while (connect(
             fd_, reinterpret_cast<struct sockaddr*>(&address),
             sizeof(address)) != 0) {
    if (errno != EINTR) {
      close(std::exchange(fd_, -1));
      return;
    }
  }
}

RawClient::~RawClient()
{
  if (fd_ >= 0) {
    close(fd_);
  }
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1))
{
}

bool
RawClient::Send(const std::string& bytes)
{
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count =
        send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    sent += count > 0 ? count : 0;
  }
  return true;
}

void
RawClient::CloseSending()
{
  shutdown(fd_, SHUT_WR);
}

bool
RawClient::HasInput() const
{
  struct pollfd polled = {fd_, POLLIN, 0};
  return poll(&polled, 1, 0) > 0;
}

std::string
RawClient::Read(size_t most)
{
  std::string text;
  while (text.size() < most) {
    char piece[4096];
    const ssize_t count =
        recv(fd_, piece, std::min(sizeof(piece), most - text.size()), 0);
    if (count == 0 || (count < 0 && errno != EINTR)) {
      break;
    }
    text.append(piece, count > 0 ? count : 0);
  }
  return text;
}

std::string
RawClient::ReadAll()
{
  return Read(SIZE_MAX);
}

std::string
AskRaw(const std::string& socket, const std::string& bytes)
{
  RawClient client(socket);
  client.Send(bytes);
  return client.ReadAll();
}
