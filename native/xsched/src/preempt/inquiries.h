// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_INQUIRIES_H_
#define XSCHED_PREEMPT_INQUIRIES_H_

#include <cstdint>

#include "preempt/export.h"
#include "preempt/hardware.h"

namespace xsched {

// Which streams the scheduler is just calling the driver about, and which it
// must leave alone. The application may destroy a stream, or begin to capture
// it, while another thread of the process asks the driver whether that stream
// is done: the first would hand the driver a handle that is gone, the second
// would break the capture.
//
// Invariant: between the return of Forbid(s) and Allow(s) no call about s is
// under way, and none begins. After Await(s) no call about s is under way that
// began before; it is for those who take a stream away from where others find
// it, before the driver frees its handle.
//
// How: who asks says so first and then looks whether it may; who forbids says
// so first and then looks who asks (sequentially consistent), so that at least
// one of the two sees the other.
class XSCHED_INTERNAL Inquiries {
 public:
  // As often as it was forbidden a stream must be allowed again.
  static void Forbid(uint64_t stream);
  static void Allow(uint64_t stream);
  static void Await(uint64_t stream);
  // The same for all streams of a context.
  static void ForbidContext(uint64_t context);
  static void AllowContext(uint64_t context);

  // In the child of a fork: those who asked are not there.
  static void Forget();
};

// One call of the driver about a stream. It may be made if it is Allowed, and
// if the stream is found, after this was constructed, to be still there.
class XSCHED_INTERNAL Inquiry {
 public:
  Inquiry(uint64_t stream, uint64_t context);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  bool Allowed() const { return allowed_; }

 private:
  const int place_;
  bool allowed_;
};

// About events of a context, or about a stream of it that nobody forbids.
class XSCHED_INTERNAL ContextInquiry : public Inquiry {
 public:
  explicit ContextInquiry(uint64_t context) : Inquiry(kPerThreadStream, context)
  {
  }
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_INQUIRIES_H_
