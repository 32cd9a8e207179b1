// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_SERVER_H_
#define XSCHED_CONTROL_SERVER_H_

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "control/file_descriptor.h"

namespace xsched {

// Connections to a listening socket: one line in, one answer out. Never
// blocks; the caller polls. A client can be slow, stop in the middle, send
// anything or nothing: it costs its place, for a bounded time.
class Server {
 public:
  static constexpr size_t kMaxConnections = 32;

  using Answer = std::function<std::string(const std::string& request)>;

  // 'listener' is not owned. 'answer' gets a line without its end, or of one
  // that is longer than 'max_request' bytes the first 'max_request' + 1.
  Server(int listener, size_t max_request, Answer answer);

  // Appends what is to be polled. Returns when Serve should be called at the
  // latest, INT64_MAX if only poll knows.
  int64_t Prepare(int64_t now_ns, std::vector<struct pollfd>* polled) const;
  // Does what can be done without waiting. 'polled' is what Prepare appended,
  // with poll's findings.
  void Serve(int64_t now_ns, const struct pollfd* polled, size_t polled_count);

  // Closes this process's copies of the connections; after fork.
  void Abandon();

 private:
  struct Connection {
    FileDescriptor socket;
    int64_t since_ns = 0;
    std::string request;
    std::string answer;  // not empty: this is to be sent
    size_t sent = 0;
  };

  int64_t BudgetNs() const;
  bool Accepts(int64_t now_ns) const;
  // False if the connection has come to its end, whichever.
  bool Advance(Connection* connection);
  bool Receive(Connection* connection);
  static bool Send(Connection* connection);
  void Accept(int64_t now_ns);

  const int listener_;
  const size_t max_request_;
  const Answer answer_;
  std::vector<Connection> connections_;
  // While the process has no file descriptor left.
  int64_t accept_again_ns_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_SERVER_H_
