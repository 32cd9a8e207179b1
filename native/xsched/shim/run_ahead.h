// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Running ahead (XSCHED_RUN_AHEAD): a call of a queue that would have to wait at
// the gate is kept in the queue's CommandBuffer and returns at once.
//
// The rule: whatever the application does next, it must not be able to tell that
// the call has not been made. So every function of the driver that is not listed
// in asks.txt first waits until what it may depend on has been made. What that is:
//
//   work in a stream        what is kept of its queue, or it is kept behind that;
//                           what this thread has kept of other queues, as that may
//                           be above or below (a thread never waits for its own
//                           work); what is kept in streams that wait for this one
//                           by themselves, the legacy stream and blocking ones
//   an event's record, wait the same, and what is kept about that event
//   a graph's launch        the same as work; where graphs record events or wait
//                           for them, everything
//   progress of a stream    what is kept of its queue; a query says "not ready"
//   progress of an event    the calls up to its record; a query says "not ready"
//   the context, memory, modules, graphs, captures, anything else:  everything
//
// Nothing is kept
//   - that would not have to wait, in a queue of which nothing is kept;
//   - in the per-thread default streams, which are another thread's here, nor in a
//     stream that is not its queue's own, except for the legacy one;
//   - while anything is captured, or while the queue is held back;
//   - where the thread has work of its own in a higher queue;
//   - if other processes may record the event or wait for it, or if it is a graph's
//     launch and graphs of the process record events or wait for them;
//   - if it reads or writes memory of the host's that is not pinned, or has
//     parameters that cannot be copied: before CUDA 12.4 nobody says how large
//     those of a kernel are.
//
// A kept call that fails has already returned. The next call that belongs to its
// queue, or that waits for it, returns the error in its place, once, as the
// errors of what runs asynchronously are returned.
//
// A process that forks goes on; its child has no device. At a normal exit what is
// kept is launched first; _exit, exec and a signal's end drop it, as the device
// drops what it has not run then.

#ifndef XSCHED_SHIM_RUN_AHEAD_H_
#define XSCHED_SHIM_RUN_AHEAD_H_

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "cuda/capture.h"
#include "cuda/functions.h"
#include "preempt/command_buffer.h"
#include "preempt/scheduler.h"
#include "shim/call.h"

namespace xsched {

class RunAhead {
 public:
  using Command = CommandBuffer::Command;

  // Whether launches may run ahead.
  static bool On()
  {
    // Relaxed: set before the first launch.
    return on_.load(std::memory_order_relaxed);
  }
  // The same where it may not have been read yet.
  static bool Read();
  // No more: what is kept is launched, and nothing else is kept. False if that
  // was so already.
  static bool Stop();
  // In the child of a fork.
  static void Forget() { on_.store(false, std::memory_order_relaxed); }

  // Waits until everything that is kept has been made. 'by' is the function that
  // is about to be called. May be cancelled.
  static void Drain(const char* by);
  // The same for what work in 'stream' of 'queue', which may be null, may depend
  // on; 'own': also for what is kept of the queue itself. Returns an error that
  // is to be returned in place of the call.
  static CUresult BeforeWork(
      Queue* queue, CUstream stream, bool own, const char* by);
  // The same for what a call depends on that gives the stream nothing to do.
  static CUresult BeforeCall(
      Queue* queue, CUstream stream, bool own, const char* by);
  // Whether such a call would wait.
  static bool IsBehind(const Queue* queue, CUstream stream);
  // What is kept of a queue.
  static void Drain(Queue* queue, const char* by);
  static bool Pending(const Queue* queue)
  {
    const CommandBuffer* const buffer = BufferOf(queue);
    return buffer != nullptr && buffer->Pending();
  }
  static CUresult TakeError(const Queue* queue)
  {
    CommandBuffer* const buffer = BufferOf(queue);
    return buffer == nullptr ? kCudaSuccess : buffer->TakeError();
  }
  // Of any queue.
  static CUresult TakeError();

  // Whether something of the queue that goes to this stream may be kept at all.
  static bool MayKeep(const Queue* queue, CUstream stream);
  // Keeps what 'fill' fills a command with; false if it cannot be kept.
  template <typename Fill>
  static bool Keep(
      Queue* queue, CUstream stream, CUevent event, const Fill& fill)
  {
    CommandBuffer* const buffer = MakeBuffer(queue);
    if (buffer == nullptr) {
      return false;
    }
    std::unique_ptr<Command> command;
    try {
      command = buffer->Make();
      if (!fill(command.get())) {
        return false;
      }
    } catch (const std::bad_alloc&) {
      return false;
    }
    return Push(queue, buffer, std::move(command), stream, event);
  }

  // --- events -------------------------------------------------------------
  // The last call about an event that was kept.
  struct Use {
    CommandBuffer* buffer = nullptr;
    uint64_t position = 0;

    bool Pending() const { return buffer->Done() < position; }
  };
  // False if there was none, or none since it was found to have been made.
  static bool FindUse(CUevent event, Use* use);
  // Waits for what is kept about it in another buffer than that of 'queue'.
  static void AwaitElsewhere(CUevent event, const Queue* queue, const char* by);
  static void Await(const Use& use, const char* by);
  // Other processes have it, too: they do not wait for what is kept here.
  static void ShareEvent(CUevent event);
  static bool IsShared(CUevent event);
  // Graphs record events or wait for them by themselves. Which, and which graphs,
  // is not known here.
  static void NoteEventsInGraphs()
  {
    // Relaxed: whoever launches the graph comes after whoever made it.
    graphs_have_events_.store(true, std::memory_order_relaxed);
  }
  static bool GraphsHaveEvents()
  {
    return graphs_have_events_.load(std::memory_order_relaxed);
  }
  // They are destroyed, and what is kept about them has been made.
  static void ForgetEvent(CUevent event);
  static void ForgetStream();

  // --- for commands ---------------------------------------------------------
  // In the thread that makes the call.
  static void EnterContext(CUcontext context);
  static CUcontext CurrentContext();

 private:
  static CommandBuffer* BufferOf(const Queue* queue)
  {
    return queue == nullptr ? nullptr
                            : queue->ahead.load(std::memory_order_acquire);
  }
  static CommandBuffer* MakeBuffer(Queue* queue);
  static bool Push(
      Queue* queue, CommandBuffer* buffer, std::unique_ptr<Command> command,
      CUstream stream, CUevent event);
  static void Await(CommandBuffer* buffer, uint64_t position, const char* by);

  static std::atomic<bool> on_;
  static std::atomic<bool> stopped_;
  static std::atomic<bool> graphs_have_events_;
};

// Stores an object in a command, which is to be copied byte by byte.
template <typename T>
T*
Store(RunAhead::Command* command, const T& object)
{
  static_assert(sizeof(T) <= RunAhead::Command::kSize, "no room for it");
  static_assert(alignof(T) <= 8, "no place for it");
  static_assert(std::is_trivially_destructible<T>::value, "nobody ends it");
  return new (command->object) T(object);
}

template <typename T>
T*
Stored(RunAhead::Command* command)
{
  return std::launder(reinterpret_cast<T*>(command->object));
}

}  // namespace xsched

#endif  // XSCHED_SHIM_RUN_AHEAD_H_
