// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_FAKE_HARDWARE_H_
#define XSCHED_TESTS_FAKE_HARDWARE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "preempt/hardware.h"

namespace xsched {

// A device whose events and streams are done when the test says so. What a
// test puts into an 'at_' function happens while the scheduler is in that
// call, as if its thread had been stopped there: the races, without threads.
class FakeHardware final : public Hardware {
 public:
  Progress QueryStream(uint64_t stream, uint64_t) override
  {
    Happen(&at_query_stream);
    return busy_streams.count(stream) != 0 ? Progress::kBusy : Progress::kDone;
  }

  std::string NameOf(int) override { return "fake"; }

  void Refused(uint64_t stream) override { refused.push_back(stream); }

  bool Synchronize(uint64_t, uint64_t) override { return true; }

  void* CreateEvent(EventKind kind, uint64_t context) override
  {
    contexts.insert(context);
    if (no_events) {
      return nullptr;
    }
    ++created[kind];
    return reinterpret_cast<void*>(++last_event_);
  }

  bool RecordEvent(void* event, uint64_t stream, uint64_t) override
  {
    Happen(&at_record);
    recorded.push_back({event, stream});
    if (keeps_up) {
      busy.clear();
    }
    busy.insert(event);
    device_ns += event_ns;
    times_[event] = device_ns;
    return !record_fails;
  }

  Progress QueryEvent(void* event, uint64_t) override
  {
    ++queries;
    Happen(&at_query_event);
    queried.insert(event);
    return failed                   ? Progress::kFailed
           : busy.count(event) != 0 ? Progress::kBusy
                                    : Progress::kDone;
  }

  int64_t ElapsedNs(void* from, void* to, uint64_t) override
  {
    return times_[to] - times_[from];
  }

  int EnterCalls() override { return 0; }
  void LeaveCalls(int) override {}

  struct Recorded {
    void* event;
    uint64_t stream;
  };
  std::vector<Recorded> recorded;
  std::vector<uint64_t> refused;
  std::set<void*> busy;
  std::set<void*> queried;
  std::set<uint64_t> busy_streams;
  std::set<uint64_t> contexts;
  std::map<EventKind, int> created;
  int queries = 0;
  // The device's time, and what an event takes of it.
  int64_t device_ns = 0;
  int64_t event_ns = 0;
  // The device has done everything before the next event comes.
  bool keeps_up = false;
  bool no_events = false;
  bool record_fails = false;
  bool failed = false;
  // Each happens once.
  std::function<void()> at_query_stream;
  std::function<void()> at_record;
  std::function<void()> at_query_event;

 private:
  static void Happen(std::function<void()>* what)
  {
    if (const auto now = std::exchange(*what, nullptr)) {
      now();
    }
  }

  uintptr_t last_event_ = 0;
  std::map<void*, int64_t> times_;
};

}  // namespace xsched

#endif  // XSCHED_TESTS_FAKE_HARDWARE_H_
