// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/inquiries.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "preempt/thread_work.h"

namespace xsched {
namespace {

// More threads than this wait for each other.
constexpr int kPlaces = 64;

struct alignas(64) Place {
  std::atomic<uint64_t> stream{0};  // 0: free
  std::atomic<uint64_t> context{0};
};

// Things that may not be asked about; one may be in it several times.
class Forbidden {
 public:
  void Add(uint64_t handle)
  {
    std::lock_guard<std::mutex> lock(mutex_);
    handles_.push_back(handle);
    // Sequentially consistent, as are the places: see Inquiries.
    count_.store(handles_.size(), std::memory_order_seq_cst);
  }

  void Remove(uint64_t handle)
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find(handles_.begin(), handles_.end(), handle);
    if (found != handles_.end()) {
      handles_.erase(found);
      count_.store(handles_.size(), std::memory_order_relaxed);
    }
  }

  bool Includes(uint64_t handle)
  {
    if (count_.load(std::memory_order_seq_cst) == 0) {
      return false;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    return std::find(handles_.begin(), handles_.end(), handle) !=
           handles_.end();
  }

 private:
  std::mutex mutex_;
  std::atomic<size_t> count_{0};
  std::vector<uint64_t> handles_;
};

Place places[kPlaces];
std::atomic<bool> forgotten{false};

Forbidden&
Streams()
{
  // Never destroyed: launches may go on while the process exits.
  static Forbidden* streams = new Forbidden;
  return *streams;
}

Forbidden&
Contexts()
{
  static Forbidden* contexts = new Forbidden;
  return *contexts;
}

void
AwaitNone(std::atomic<uint64_t> Place::*member, uint64_t handle)
{
  for (Place& place : places) {
    while ((place.*member).load(std::memory_order_seq_cst) == handle &&
           place.stream.load(std::memory_order_seq_cst) != 0) {
      sched_yield();
    }
  }
}

int
Occupy(uint64_t stream, uint64_t context)
{
  for (uint64_t i = ThreadId();; ++i) {
    Place& place = places[i % kPlaces];
    uint64_t free = 0;
    if (place.stream.compare_exchange_strong(
            free, stream, std::memory_order_seq_cst,
            std::memory_order_relaxed)) {
      place.context.store(context, std::memory_order_seq_cst);
      return static_cast<int>(i % kPlaces);
    }
    if (i % kPlaces == kPlaces - 1) {
      sched_yield();
    }
  }
}

}  // namespace

void
Inquiries::Forbid(uint64_t stream)
{
  if (!forgotten.load(std::memory_order_relaxed)) {
    Streams().Add(stream);
    AwaitNone(&Place::stream, stream);
  }
}

void
Inquiries::Allow(uint64_t stream)
{
  if (!forgotten.load(std::memory_order_relaxed)) {
    Streams().Remove(stream);
  }
}

void
Inquiries::Await(uint64_t stream)
{
  if (!forgotten.load(std::memory_order_relaxed)) {
    AwaitNone(&Place::stream, stream);
  }
}

void
Inquiries::ForbidContext(uint64_t context)
{
  if (!forgotten.load(std::memory_order_relaxed)) {
    Contexts().Add(context);
    AwaitNone(&Place::context, context);
  }
}

void
Inquiries::AllowContext(uint64_t context)
{
  if (!forgotten.load(std::memory_order_relaxed)) {
    Contexts().Remove(context);
  }
}

void
Inquiries::Forget()
{
  // Relaxed: the child has one thread.
  forgotten.store(true, std::memory_order_relaxed);
}

Inquiry::Inquiry(uint64_t stream, uint64_t context)
    : place_(Occupy(stream, context)),
      allowed_(!Streams().Includes(stream) && !Contexts().Includes(context))
{
}

Inquiry::~Inquiry()
{
  // Release: the call is over for whoever finds the place free. The context
  // stays; it means nothing in a free place.
  places[place_].stream.store(0, std::memory_order_release);
}

}  // namespace xsched
