// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_SIMULATED_DRIVER_MACHINE_H_
#define XSCHED_TESTS_SIMULATED_DRIVER_MACHINE_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "simulated_driver/simulated_driver.h"

namespace simulated {

using xsched::CUcontext;
using xsched::CUevent;
using xsched::CUfunction;
using xsched::CUgraph;
using xsched::CUgraphExec;
using xsched::CUresult;
using xsched::CUstream;

constexpr int kLeastPriority = 0;
constexpr int kGreatestPriority = -5;

// A host with several devices, as CUDA sees it: contexts, streams, events and
// captures. Each device "runs" one kernel after the other in real time, taking
// the stream of the highest priority that has one, the oldest first. Its time
// is that of the clock: whoever asks sees what the device has done by then,
// however late the thread that plays it comes. What is in the legacy stream of
// a context and what is in its blocking streams, the per-thread ones among
// them, wait for each other in the order in which they were submitted.
//
// Handles are used again, the last one first, as a driver's addresses are.
//
// One instance, never destroyed. One lock for everything: this is a model,
// not a fast one.
class Machine {
 public:
  // The thread that calls: what tells it from others, and its capture mode.
  struct Caller {
    const void* thread;
    int capture_mode;
  };

  static Machine& Get();

  // --- contexts -------------------------------------------------------------
  CUresult CreateContext(int device, CUcontext* context);
  CUresult DestroyContext(CUcontext context);
  CUresult DeviceOf(CUcontext context, int* device);
  // Whether it exists; a use of one that does not is counted.
  bool Uses(CUcontext context);
  CUresult SynchronizeContext(CUcontext context);
  // Returns when the context's device has nothing to do.
  CUresult WaitForDevice(CUcontext context);
  CUresult RetainPrimary(int device, CUcontext* context);
  CUresult ReleasePrimary(int device);
  CUresult ResetPrimary(int device);
  CUresult IsPrimaryActive(int device, int* active);

  // --- streams --------------------------------------------------------------
  CUresult CreateStream(
      CUcontext context, bool blocking, int priority, CUstream* stream);
  // The legacy stream of a context, or a thread's, if 'thread' is not null.
  CUstream DefaultStream(CUcontext context, const void* thread);
  CUresult DestroyStream(CUstream stream);
  CUresult FlagsOf(CUstream stream, unsigned int* flags);
  CUresult PriorityOf(CUstream stream, int* priority);
  CUresult ContextOf(CUstream stream, CUcontext* context);
  CUresult Launch(CUstream stream, CUfunction kernel, uint64_t parameter = 0);
  // One kernel, and a record of the event that was added to the graph.
  CUresult LaunchGraph(CUstream stream, CUgraphExec graph);
  CUresult AddRecord(CUgraph graph, CUevent event);
  CUresult SynchronizeStream(CUstream stream);
  CUresult QueryStream(CUstream stream, const Caller& caller);
  CUresult BeginCapture(CUstream stream, int mode, const Caller& caller);
  CUresult EndCapture(CUstream stream);
  CUresult IsCapturing(CUstream stream, int* status);

  // --- events ---------------------------------------------------------------
  CUresult CreateEvent(CUcontext context, CUevent* event);
  CUresult DestroyEvent(CUevent event);
  CUresult Record(CUevent event, CUstream stream);
  // Behind nothing.
  CUresult RecordIdle(CUevent event);
  CUresult Wait(CUstream stream, CUevent event);
  CUresult SynchronizeEvent(CUevent event);
  CUresult QueryEvent(CUevent event, const Caller& caller);
  CUresult Elapsed(CUevent from, CUevent to, float* milliseconds);

  // --- what simulated_driver.h promises ---------------------------------------
  std::vector<Execution> TakeRuns();
  void SetError(CUresult error);
  void FailLaunches(int count, CUresult error);
  void Hold(bool hold, int device);
  void HoldDuring(CUfunction kernel);
  void AtNextRecord(std::function<void()> what);
  std::function<void()> TakeAtNextRecord();
  int LiveEvents();
  int BrokenCaptures();
  int StaleUses();

 private:
  struct Context {
    int device;
  };

  struct Event {
    CUcontext context;
    uint64_t recorded = 0;
    uint64_t completed = 0;
    int64_t at_ns = 0;
    int capture = 0;
  };

  struct Operation {
    enum Kind { kKernel, kRecord, kWait } kind;
    CUfunction kernel;
    std::shared_ptr<Event> event;
    uint64_t version;
    uint64_t submitted;  // counts up
    int64_t submitted_ns;
    uint64_t parameter = 0;
  };

  struct Stream {
    CUcontext context;
    int device;
    int priority;
    enum Kind { kLegacy, kBlocking, kNonBlocking } kind;
    int capture = 0;    // the one it takes part in; 0 if none
    uint64_t life = 0;  // counts up; a handle has several, one after the other
    bool destroyed = false;
    std::deque<Operation> operations;
  };

  struct Device {
    std::condition_variable changed;  // something was submitted
    int64_t now_ns = 0;               // it has done everything until then
    bool held = false;
    uint64_t running = 0;  // the life of the stream whose kernel runs; or 0
    int64_t until_ns = 0;  // and when that ends
  };

  // Keeps its handle through all its lives, and its count through a reset, as
  // the driver 580 does.
  struct Primary {
    CUcontext context = nullptr;
    int retained = 0;
  };

  Machine();

  // Handles of one kind: those that are free, the last one at the back.
  template <typename Handle>
  class Handles {
   public:
    Handle Take(uintptr_t* next)
    {
      if (free_.empty()) {
        return reinterpret_cast<Handle>(*next += 0x10);
      }
      const Handle handle = free_.back();
      free_.pop_back();
      return handle;
    }
    void Give(Handle handle) { free_.push_back(handle); }

   private:
    std::vector<Handle> free_;
  };

  // A capture that goes on.
  struct Capture {
    int mode;
    const void* thread;
  };

  // All of these are called with the lock held.
  Stream* Find(CUstream stream);
  std::shared_ptr<Event> Find(CUevent event);
  CUresult EndContext(CUcontext context);
  CUstream AddStream(CUcontext context, Stream::Kind kind, int priority);
  std::map<CUstream, Stream>::iterator EraseStream(
      std::map<CUstream, Stream>::iterator stream);
  void EndCaptureOf(int capture);
  // Whether the caller makes a call now that its capture mode, or that of
  // another thread's capture, does not permit.
  bool IsUnsafe(const Caller& caller) const;
  // Whether to ask a stream for its progress would break a capture: its own,
  // or, if it is the legacy stream, that of any other of its context.
  bool BreaksCapture(const Stream& stream, CUstream handle);
  CUresult Submit(Stream* stream, Operation operation);
  template <typename Condition>
  CUresult WaitUntil(
      std::unique_lock<std::mutex>* lock, const Condition& condition);

  void Work(int number);
  // What the device does until now.
  void Advance(int number);
  void DoInstantOperations(int number);
  // Whether nothing that was submitted before a stream's next operation keeps
  // it from beginning.
  bool MayBegin(const Stream& stream) const;
  // The stream whose kernel begins next, and when.
  std::map<CUstream, Stream>::iterator NextKernel(
      int number, int64_t* begins_ns);

  std::mutex mutex_;
  std::condition_variable done_;  // something has finished
  Device devices_[kDevices];
  Primary primaries_[kDevices];
  std::map<CUcontext, Context> contexts_;
  std::map<CUstream, Stream> streams_;
  std::map<std::pair<CUcontext, const void*>, CUstream> default_streams_;
  std::map<CUevent, std::shared_ptr<Event>> events_;
  std::map<const void*, CUevent> graph_records_;
  std::vector<Execution> runs_;
  uint64_t submitted_ = 0;
  uint64_t last_life_ = 0;
  uintptr_t next_handle_ = 0x1000;
  Handles<CUcontext> context_handles_;
  Handles<CUstream> stream_handles_;
  Handles<CUevent> event_handles_;
  int last_capture_ = 0;
  std::map<int, Capture> captures_;
  CUresult error_ = 0;
  int launch_failures_ = 0;
  CUresult launch_error_ = 0;
  CUfunction hold_during_ = nullptr;
  std::function<void()> at_next_record_;
  int broken_captures_ = 0;
  int stale_uses_ = 0;
};

}  // namespace simulated

#endif  // XSCHED_TESTS_SIMULATED_DRIVER_MACHINE_H_
