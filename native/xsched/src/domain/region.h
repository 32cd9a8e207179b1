// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_DOMAIN_REGION_H_
#define XSCHED_DOMAIN_REGION_H_

#include <memory>
#include <string>

#include "domain/layout.h"

namespace xsched { namespace domain {

// The file of one device, mapped, and one slot in it that is this process's.
// Lives as long as the process: others could not be told otherwise that the
// slot is free, and closing the file would unlock it.
//
// A lock of the slot's byte says that its process lives, also to processes of
// other PID namespaces. It is a lock of the process (F_SETLK): a child of a
// fork does not have it, and the kernel gives it up when the process ends or
// becomes another program.
class Region {
 public:
  // Null, with the reason.
  static Region* Join(
      const std::string& folder, const std::string& device, std::string* error);
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  Layout* Shared() const { return shared_; }
  int Own() const { return own_; }
  // Whether the slot is some other process's that lives.
  bool IsTaken(int slot) const;
  // Whether the file is still what it was when this process joined.
  bool IsIntact() const;
  // Puts empty memory in the place of the file: from now on a domain of this
  // process alone. Whoever uses it meanwhile notices nothing.
  void Leave();

 private:
  Region(int fd, Layout* shared, int own, std::string path);

  const int fd_;
  Layout* const shared_;
  const int own_;
  const std::string path_;
};

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_REGION_H_
