// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/capture.h"

#include <algorithm>

#include "cuda/functions.h"
#include "preempt/inquiries.h"

namespace xsched {
namespace {

uint64_t
Number(CUstream stream)
{
  return reinterpret_cast<uint64_t>(stream);
}

// A per-thread stream is asked by its own thread only, which knows what it
// captures; the handle means another stream in each thread.
bool
MayBeAskedByOthers(CUstream stream)
{
  return Number(stream) != kStreamPerThread;
}

CUcontext
ContextOf(CUstream stream)
{
  CUcontext context = nullptr;
  if (real::cuStreamGetCtx(stream, &context) != kCudaSuccess) {
    real::cuCtxGetCurrent(&context);
  }
  return context;
}

}  // namespace

std::atomic<size_t> Captures::count_{0};

Captures&
Captures::Get()
{
  static Captures* captures = new Captures;
  return *captures;
}

uint64_t
Captures::Begin(CUstream stream)
{
  const CUcontext context = ContextOf(stream);
  uint64_t id = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    id = ++last_id_;
    captures_.push_back({id, stream, context, false});
    count_.store(captures_.size(), std::memory_order_relaxed);
  }
  if (MayBeAskedByOthers(stream)) {
    Inquiries::Forbid(Number(stream));
  }
  Inquiries::Forbid(kStreamLegacy);
  return id;
}

template <typename Ends>
void
Captures::End(const Ends& ends)
{
  if (!Any()) {
    return;
  }
  std::vector<Capture> ended;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto each = captures_.begin(); each != captures_.end();) {
      if (ends(*each)) {
        ended.push_back(*each);
        each = captures_.erase(each);
      } else {
        ++each;
      }
    }
    count_.store(captures_.size(), std::memory_order_relaxed);
  }
  for (const Capture& capture : ended) {
    if (MayBeAskedByOthers(capture.stream)) {
      Inquiries::Allow(Number(capture.stream));
    }
    Inquiries::Allow(kStreamLegacy);
  }
}

void
Captures::Began(uint64_t id, bool success)
{
  if (!success) {
    End([id](const Capture& capture) { return capture.id == id; });
    return;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  for (Capture& capture : captures_) {
    capture.began = capture.began || capture.id == id;
  }
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
  // Of per-thread streams, which have one handle, any will do: what counts is
  // how many there are.
  bool found = false;
  End([&](const Capture& capture) {
    const bool ends = !found && capture.began && capture.stream == stream;
    found = found || ends;
    return ends;
  });
}

void
Captures::ForgetContext(CUcontext context)
{
  End([context](const Capture& capture) { return capture.context == context; });
}

void
Captures::Recheck()
{
  std::vector<Capture> captures;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    captures = captures_;
  }
  for (const Capture& capture : captures) {
    if (!capture.began || !MayBeAskedByOthers(capture.stream)) {
      continue;
    }
    bool captures_still = true;
    {
      // Whoever destroys the stream waits for this.
      const Inquiry inquiry(
          Number(capture.stream), reinterpret_cast<uint64_t>(capture.context));
      bool exists = false;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        exists = std::any_of(
            captures_.begin(), captures_.end(),
            [&](const Capture& each) { return each.id == capture.id; });
      }
      captures_still = !exists || Asks(capture.stream);
    }
    if (!captures_still) {
      End([&](const Capture& each) { return each.id == capture.id; });
    }
  }
}

void
Captures::Forget()
{
  // Relaxed: the child has one thread. Without a capture nobody takes the
  // lock, which another thread may have held.
  count_.store(0, std::memory_order_relaxed);
}

bool
Captures::Asks(CUstream stream)
{
  int status = kCaptureNone;
  return real::cuStreamIsCapturing(stream, &status) == kCudaSuccess &&
         status != kCaptureNone;
}

}  // namespace xsched
