// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/capture.h"

#include <sched.h>

#include <algorithm>

#include "cuda/functions.h"

namespace xsched {

std::atomic<int> Captures::pauses_{0};

Captures&
Captures::Get()
{
  static Captures* captures = new Captures;
  return *captures;
}

void
Captures::PauseQueries()
{
  // Sequentially consistent with EnterQuery: either the query sees the
  // pause, or this thread sees the query and lets it end.
  pauses_.fetch_add(1, std::memory_order_seq_cst);
  while (queries_.load(std::memory_order_seq_cst) != 0) {
    sched_yield();
  }
}

void
Captures::ResumeQueries()
{
  pauses_.fetch_sub(1, std::memory_order_relaxed);
}

void
Captures::Began(CUstream stream)
{
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.push_back(stream);
}

void
Captures::Ended(CUstream stream, CUresult result)
{
  // These two leave the capture going.
  if (result != kCudaErrorCaptureUnmatched &&
      result != kCudaErrorCaptureWrongThread) {
    ForgetStream(stream);
  }
}

void
Captures::ForgetStream(CUstream stream)
{
  if (pauses_.load(std::memory_order_relaxed) == 0) {
    return;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find(streams_.begin(), streams_.end(), stream);
  if (found != streams_.end()) {
    streams_.erase(found);
    ResumeQueries();
  }
}

void
Captures::Forget()
{
  // Relaxed: the child has one thread. Without a pause nobody takes the lock,
  // which another thread may have held.
  pauses_.store(0, std::memory_order_relaxed);
  queries_.store(0, std::memory_order_relaxed);
}

bool
Captures::EnterQuery()
{
  queries_.fetch_add(1, std::memory_order_seq_cst);
  if (pauses_.load(std::memory_order_seq_cst) == 0) {
    return true;
  }
  LeaveQuery();
  Prune();
  return false;
}

void
Captures::LeaveQuery()
{
  queries_.fetch_sub(1, std::memory_order_release);
}

bool
Captures::Asks(CUstream stream)
{
  int status = kCaptureNone;
  return real::cuStreamIsCapturing(stream, &status) == kCudaSuccess &&
         status != kCaptureNone;
}

// A capture that was given up, by destroying its stream say, must not keep
// the scheduler from asking for ever.
void
Captures::Prune()
{
  std::vector<CUstream> streams;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    streams = streams_;
  }
  for (CUstream stream : streams) {
    // A per-thread stream can only be asked by its own thread.
    if (reinterpret_cast<uint64_t>(stream) > kStreamPerThread &&
        !Asks(stream)) {
      ForgetStream(stream);
    }
  }
}

}  // namespace xsched
