// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CUDA_CAPTURE_H_
#define XSCHED_CUDA_CAPTURE_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "cuda/abi.h"
#include "preempt/export.h"

namespace xsched {

// Which streams are being captured. What happens to a stream then becomes
// part of a graph and does not run; asking such a stream whether it is done
// would break the capture, and so would asking the legacy stream while any
// other is captured. These are left alone (Inquiries), and only these: other
// streams are asked as ever.
//
// Invariant: from before a capture begins until after it has ended, a stream
// that it began with is forbidden, once, and so is the legacy stream. A stream
// that joins a capture through an event is forbidden while it joins; after
// that the driver says that it is captured.
class XSCHED_INTERNAL Captures {
 public:
  static Captures& Get();

  // A capture of 'stream' is about to begin; then, whether it has.
  uint64_t Begin(CUstream stream);
  void Began(uint64_t capture, bool success);
  void Ended(CUstream stream, CUresult result);
  // They are about to be destroyed, or are already.
  void ForgetStream(CUstream stream);
  void ForgetContext(CUcontext context);
  // What was refused because of a capture: has it ended without a call that
  // says so?
  void Recheck();

  // Whether anything is being captured.
  static bool Any()
  {
    // Relaxed: a thread that captures sees its own begin.
    return count_.load(std::memory_order_relaxed) != 0;
  }
  // Whether launches into 'stream' are being captured, also if it joined the
  // capture through an event.
  static bool Includes(CUstream stream) { return Any() && Asks(stream); }

  // In the child of a fork: there is no capture.
  void Forget();

 private:
  struct Capture {
    uint64_t id;
    CUstream stream;
    CUcontext context;
    bool began;
  };

  static bool Asks(CUstream stream);
  // Allows what the captures that 'ends' is true of have forbidden.
  template <typename Ends>
  void End(const Ends& ends);

  // Static, so that a launch finds it at once.
  static std::atomic<size_t> count_;
  std::mutex mutex_;
  uint64_t last_id_ = 0;
  std::vector<Capture> captures_;
};

}  // namespace xsched

#endif  // XSCHED_CUDA_CAPTURE_H_
