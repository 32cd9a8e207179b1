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

// Connections to a listening socket: one line in, one answer out. Never blocks;
// the caller polls. A client may be slow, stop halfway, or send anything or
// nothing: it only takes up one slot, for a bounded time.
class Server {
 public:
  static constexpr size_t kMaxConnections = 32;

  using Answer = std::function<std::string(const std::string& request)>;

  // Does not own 'listener'. 'answer' gets a line without its line feed; of a
  // line longer than 'max_request' bytes, it gets the first 'max_request' + 1.
  Server(int listener, size_t max_request, Answer answer);

  // Appends the descriptors to poll. Returns the latest time to call Serve, or
  // INT64_MAX if only poll decides.
  int64_t Prepare(int64_t now_ns, std::vector<struct pollfd>* polled) const;
  // Does everything that needs no waiting. 'polled' is what Prepare appended,
  // with poll's results.
  void Serve(int64_t now_ns, const struct pollfd* polled, size_t polled_count);

  // Closes this process's copies of the connections; after fork.
  void Abandon();

 private:
  struct Connection {
    FileDescriptor socket;
    int64_t since_ns = 0;
    std::string request;
    std::string answer;  // if not empty, remains to be sent
    size_t sent = 0;
  };

  int64_t BudgetNs() const;
  bool Accepts(int64_t now_ns) const;
  // False if the connection has ended, for any reason.
  bool Advance(Connection* connection);
  bool Receive(Connection* connection);
  static bool Send(Connection* connection);
  void Accept(int64_t now_ns);

  const int listener_;
  const size_t max_request_;
  const Answer answer_;
  std::vector<Connection> connections_;
  // Set while the process has no file descriptor left.
  int64_t accept_again_ns_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_SERVER_H_
