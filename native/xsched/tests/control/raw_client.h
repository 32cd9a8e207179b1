// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_CONTROL_RAW_CLIENT_H_
#define XSCHED_TESTS_CONTROL_RAW_CLIENT_H_

#include <cstddef>
#include <string>

// A client of a control socket that keeps to no protocol.
class RawClient {
 public:
  RawClient();
  explicit RawClient(const std::string& socket);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // Waits while too many others want to.
  void Connect(const std::string& socket);
  bool Connected() const { return fd_ >= 0; }
  // False if the other side has closed.
  bool Send(const std::string& bytes);
  // Says that nothing more will come.
  void CloseSending();
  // Whether something has come, or the other side has closed.
  bool HasInput() const;
  // All that comes until the other side closes.
  std::string ReadAll();
  // At most so many bytes.
  std::string Read(size_t most);

 private:
  int fd_ = -1;
};

// One request and its answer.
std::string AskRaw(const std::string& socket, const std::string& bytes);

#endif  // XSCHED_TESTS_CONTROL_RAW_CLIENT_H_
