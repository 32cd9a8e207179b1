// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace xsched {
namespace {

// How long a connection may take, and how long while others wait for a slot.
constexpr int64_t kBudgetNs = 3000000000;
constexpr int64_t kBusyBudgetNs = 200000000;
constexpr int64_t kAcceptPauseNs = 200000000;

}  // namespace

Server::Server(int listener, size_t max_request, Answer answer)
    : listener_(listener), max_request_(max_request), answer_(std::move(answer))
{
  connections_.reserve(kMaxConnections);
}

int64_t
Server::BudgetNs() const
{
  return connections_.size() < kMaxConnections ? kBudgetNs : kBusyBudgetNs;
}

bool
Server::Accepts(int64_t now_ns) const
{
  return connections_.size() < kMaxConnections && now_ns >= accept_again_ns_;
}

int64_t
Server::Prepare(int64_t now_ns, std::vector<struct pollfd>* polled) const
{
  int64_t until_ns = INT64_MAX;
  // poll ignores negative descriptors, so the indices stay the same.
  polled->push_back({Accepts(now_ns) ? listener_ : -1, POLLIN, 0});
  if (accept_again_ns_ > now_ns) {
    until_ns = accept_again_ns_;
  }
  for (const Connection& connection : connections_) {
    const short events = connection.answer.empty() ? POLLIN : POLLOUT;
    polled->push_back({connection.socket.Get(), events, 0});
    until_ns = std::min(until_ns, connection.since_ns + BudgetNs());
  }
  return until_ns;
}

void
Server::Serve(int64_t now_ns, const struct pollfd* polled, size_t polled_count)
{
  const int64_t budget_ns = BudgetNs();
  for (size_t i = 0; i < connections_.size() && i + 1 < polled_count; ++i) {
    Connection& connection = connections_[i];
    bool goes_on = now_ns - connection.since_ns < budget_ns;
    if (polled[i + 1].revents != 0) {
      goes_on = Advance(&connection) && goes_on;
    }
    if (!goes_on) {
      // Ends the connection even if a child of this process still has a copy,
      // from a fork that it did not notice.
      shutdown(connection.socket.Get(), SHUT_RDWR);
      connection.socket.Close();
    }
  }
  connections_.erase(
      std::remove_if(
          connections_.begin(), connections_.end(),
          [](const Connection& connection) {
            return !connection.socket.IsOpen();
          }),
      connections_.end());
  if (polled_count > 0 && polled[0].revents != 0) {
    Accept(now_ns);
  }
}

void
Server::Abandon()
{
  for (Connection& connection : connections_) {
    connection.socket.Close();
  }
}

bool
Server::Advance(Connection* connection)
{
  try {
    return connection->answer.empty() ? Receive(connection) : Send(connection);
  } catch (...) {
    return false;  // out of memory; the next connection may have more luck
  }
}

bool
Server::Receive(Connection* connection)
{
  std::string& request = connection->request;
  size_t end = std::string::npos;
  while (end == std::string::npos && request.size() <= max_request_) {
    char piece[1024];
    const ssize_t count =
        recv(connection->socket.Get(), piece, sizeof(piece), 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    if (count == 0) {
      return false;  // ignore an incomplete request
    }
    request.append(piece, count);
    end = request.find('\n');
  }
  request.resize(std::min({end, request.size(), max_request_ + 1}));
  connection->answer = answer_(request);
  return Send(connection);
}

bool
Server::Send(Connection* connection)
{
  const std::string& answer = connection->answer;
  while (connection->sent < answer.size()) {
    // No SIGPIPE if the client is gone: it would end this process.
    const ssize_t count = send(
        connection->socket.Get(), answer.data() + connection->sent,
        answer.size() - connection->sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    connection->sent += count;
  }
  return false;
}

void
Server::Accept(int64_t now_ns)
{
  while (connections_.size() < kMaxConnections) {
    FileDescriptor accepted(
        accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.IsOpen()) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        // Without a pause, poll would keep returning at once.
        accept_again_ns_ = now_ns + kAcceptPauseNs;
      }
      return;
    }
    Connection connection;
    connection.socket = std::move(accepted);
    connection.since_ns = now_ns;
    connections_.push_back(std::move(connection));
  }
}

}  // namespace xsched
