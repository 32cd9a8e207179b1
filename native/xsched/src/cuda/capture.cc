// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/capture.h"

#include <sched.h>

#include <algorithm>

#include "cuda/functions.h"

namespace xsched {

std::atomic<int> Captures::count_{0};

Captures&
Captures::Get()
{
  static Captures* captures = new Captures;
  return *captures;
}

void
Captures::BeforeBegin()
{
  // Sequentially consistent with EnterQuery: either the query sees the
  // capture, or this thread sees the query and lets it end.
  count_.fetch_add(1, std::memory_order_seq_cst);
  while (queries_.load(std::memory_order_seq_cst) != 0) {
    sched_yield();
  }
}

void
Captures::AfterBegin(CUstream stream, CUresult result)
{
  if (result != kCudaSuccess) {
    count_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.push_back(stream);
}

void
Captures::AfterEnd(CUstream stream, CUresult result)
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
  if (count_.load(std::memory_order_relaxed) == 0) {
    return;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find(streams_.begin(), streams_.end(), stream);
  if (found != streams_.end()) {
    streams_.erase(found);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
}

bool
Captures::EnterQuery()
{
  queries_.fetch_add(1, std::memory_order_seq_cst);
  if (count_.load(std::memory_order_seq_cst) == 0) {
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
    if (!Asks(stream)) {
      ForgetStream(stream);
    }
  }
}

}  // namespace xsched
