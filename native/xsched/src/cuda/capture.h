// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CUDA_CAPTURE_H_
#define XSCHED_CUDA_CAPTURE_H_

#include <atomic>
#include <mutex>
#include <vector>

#include "cuda/abi.h"
#include "preempt/export.h"

namespace xsched {

// Which streams are being captured. What happens to a stream then becomes
// part of a graph and does not run; asking such a stream whether it is done
// would break the capture.
class XSCHED_INTERNAL Captures {
 public:
  static Captures& Get();

  // From here until as many resumes the scheduler asks no stream anything,
  // and no question of it is under way.
  void PauseQueries();
  void ResumeQueries();

  // A capture began while queries were paused: it resumes them when it ends.
  void Began(CUstream stream);
  void Ended(CUstream stream, CUresult result);
  void ForgetStream(CUstream stream);

  // Whether launches into 'stream' are being captured, also if it joined the
  // capture through an event.
  static bool
  Includes(CUstream stream)
  {
    // Relaxed: a thread that captures sees its own begin.
    return pauses_.load(std::memory_order_relaxed) != 0 && Asks(stream);
  }

  // In the child of a fork: there is neither a capture nor a thread that asks.
  void Forget();

  // True if streams may be queried now; LeaveQuery must follow.
  bool EnterQuery();
  void LeaveQuery();

 private:
  static bool Asks(CUstream stream);
  void Prune();

  // Static, so that a launch finds it at once.
  static std::atomic<int> pauses_;
  std::atomic<int> queries_{0};
  std::mutex mutex_;
  std::vector<CUstream> streams_;  // those that a capture began with
};

}  // namespace xsched

#endif  // XSCHED_CUDA_CAPTURE_H_
