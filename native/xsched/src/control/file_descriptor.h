// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_FILE_DESCRIPTOR_H_
#define XSCHED_CONTROL_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace xsched {

// Owns an open file.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1))
  {
  }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept
  {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() { Close(); }

  int Get() const { return fd_; }
  bool IsOpen() const { return fd_ >= 0; }

  // It is somebody else's from now on.
  int Release() { return std::exchange(fd_, -1); }

  void Close()
  {
    if (fd_ >= 0) {
      close(std::exchange(fd_, -1));
    }
  }

 private:
  int fd_ = -1;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_FILE_DESCRIPTOR_H_
