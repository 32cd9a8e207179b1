// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_DEVICE_H_
#define XSCHED_PREEMPT_DEVICE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "domain/gang.h"
#include "domain/member.h"
#include "preempt/durations.h"
#include "preempt/lateness.h"
#include "preempt/policy.h"
#include "preempt/priority_counts.h"
#include "preempt/queue.h"
#include "preempt/recent_use.h"
#include "preempt/room_turn.h"
#include "preempt/turn.h"
#include "preempt/watcher.h"

namespace xsched {

// One launch that waits for its queue's turn: a thread that sleeps until
// somebody wakes it. It lies on that thread's stack. The device owns the links.
class Waiter {
 public:
  explicit Waiter(Queue* queue) : queue_(queue) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  Queue* GetQueue() const { return queue_; }
  bool Woken() const
  {
    // Acquire: what the thread that woke it did comes before.
    return state_.load(std::memory_order_acquire) == kWoken;
  }
  // Sleeps until it is woken, at most so long.
  void Sleep(int64_t timeout_ns);

 private:
  friend class Device;
  enum State : uint32_t { kAwake, kAsleep, kWoken };

  Queue* const queue_;
  std::atomic<uint32_t> state_{kAwake};
  // Under the device's lock.
  bool linked_ = false;
  bool has_own_work_ = false;
  uint8_t may_ignore_ = 0;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
};

// What all queues of a model share on one device, or one queue that has no name.
// Under the device's lock. There is one as long as it says anything.
struct ModelShare {
  // Empty: the queue's own.
  std::string model;
  int floor = 0;  // percent
  int weight = 0;
  // Nobody gave it the weight: it is of a gang.
  bool weight_is_gangs = false;
  // Never none.
  std::vector<Queue*> queues;
  // What is known of their device time.
  RecentUse recent_use;
};

// The queues that compete for one device: which of them are ready, whose turn
// it is, and which launches wait for it. It has a lock, and everything that it
// changes, here and in the queues' seats, it changes under that lock; it never
// calls the driver or waits with it.
//
// What a change costs depends on what changes, not on how many queues there
// are: whose turn it is stands in one word for all of them, and only launches
// that may go are woken.
//
// The states of a queue that is scheduled:
//
//   idle --a launch, or other work--> ready --the device has finished
//                                             all of it----------> idle
//
//   A queue is ready if it works: the device has not been seen to have finished
//   all that reached it (submitted - waiting != drained); or if it wants: a
//   launch waits, and only other queues keep it from going. A queue that is
//   held back wants nothing: it must not keep others from launching.
//
// The states of a launch:
//
//   asked for --its turn--> (room in flight) --> in the driver --> on the device
//       |                        |      ^
//       '-> waits for its turn <-'------'
//
//   It is counted in 'submitted' from the beginning and in 'launched' from when
//   the driver has returned. A thread that is cancelled while it waits gives it
//   up.
class Device {
 public:
  // What a launch that asks for its turn is told.
  struct Answer {
    enum { kGo, kGoThoughNotItsTurn, kWait } what;
    // When its turn may come, by what the queues that have it usually take; 0
    // if that is not known.
    int64_t expected_ns;
  };

  // What a person sees of a queue.
  struct Description {
    Priority priority;
    bool ready;
    bool closed;  // it is not its turn
    uint8_t held_back;
    int floor;
    int weight;
    // Device time of the last two seconds of those who share these, while there
    // is either.
    int64_t recent_ns;
  };

  Device(int id, std::unique_ptr<Policy> policy);

  int Id() const { return id_; }
  const Turn* GetTurn() const { return &turn_; }
  Durations* GetDurations() { return &durations_; }
  RoomTurn* GetRoomTurn() { return &room_turn_; }
  Lateness* GetLateness() { return &lateness_; }
  // Grows whenever the turn of ready queues of that priority ends that share
  // the limit.
  const std::atomic<uint64_t>* Closures(Priority priority) const
  {
    return &levels_[priority - PRIORITY_NO_EXECUTE].closures;
  }

  // The part of the limit in flight that each of the queues gets that may
  // launch now under it: all of them together delay a queue of higher
  // priority.
  int64_t ShareOf(int64_t limit_ns) const
  {
    // Relaxed: a share is right soon after it changes.
    return limit_ns / sharers_.load(std::memory_order_relaxed);
  }
  // Whether the queue may try to put a launch in flight whose time is not known:
  // of all queues of the device one has such a launch there.
  bool MayTryUnknown(Queue* queue);

  // --- the queues ------------------------------------------------------
  void Add(Queue* queue);
  // Its launches go ahead.
  void Remove(Queue* queue);
  void SetPriority(Queue* queue, Priority priority);
  // The highest floor that the model may have here beside those of others, or,
  // if 'model' is empty, the queue.
  int RoomForFloor(const std::string& model, const Queue& queue);
  // Gives these queues one floor, which they share: all that the model has here,
  // or, if 'model' is empty, one. 0: none. False, and nothing changes, if there
  // is no room for it.
  bool SetFloor(
      const std::vector<Queue*>& queues, const std::string& model, int percent);
  // The same for a weight, which there is always room for.
  void SetWeight(
      const std::vector<Queue*>& queues, const std::string& model, int weight);
  // The same for those of a gang to which nobody has given one.
  void SetWeightOfGang(
      const std::vector<Queue*>& queues, const std::string& model);
  // It is one of the model's queues from now on, and has a part in what that
  // shares here.
  void JoinModel(const std::string& model, Queue* queue);
  // 'in_domain': other processes count, once the device has joined a domain.
  void SetPolicy(std::unique_ptr<Policy> policy, bool in_domain = true);
  // Takes part in a domain from now on. Once.
  void Join(domain::Member* member);
  bool HasJoined();
  // Its part in the gang of the process from now on. Once.
  void Join(domain::Gang* gang);
  // Null if the process is in none.
  domain::Gang* GetGang() const
  {
    return gang_.load(std::memory_order_acquire);
  }
  // Its part in a domain; null if it has none.
  const domain::Member* Domain();
  // Something may have changed in the domain's other processes.
  void DomainChanged();
  void Suspend(Queue* queue);
  void Resume(Queue* queue);
  // It launches kernels under the limit from now on.
  void Share(Queue* queue);
  Description Describe(const Queue& queue);

  // --- readiness -------------------------------------------------------
  void MarkReady(Queue* queue);
  // The device has finished all that had been launched when 'launched' was
  // read. False if there is more. 'busy_until_ns' is when the queue was last
  // known to have work.
  bool MarkIdle(Queue* queue, uint64_t launched, int64_t busy_until_ns);
  // The device has spent so much time on the queue.
  void Used(Queue* queue, int64_t device_ns);
  // Those that are ready; of one context.
  std::vector<Queue*> Ready();
  std::vector<Queue*> ReadyIn(const Context& context);

  // --- waiting ---------------------------------------------------------
  // Asks for a launch's turn. kWait: the waiter must be left. 'generation' is
  // the life of the queue that the launch belongs to; 'may_ignore' are the
  // reasons to be held back that do not concern the calling thread.
  Answer Enter(Waiter* waiter, uint32_t generation, uint8_t may_ignore);
  // When it was woken, or no longer waits.
  void Leave(Waiter* waiter);
  // One thread at a time may spin for its turn, and only for a small part of
  // the time.
  bool TakeSpin(int64_t now_ns);
  void GiveSpin(int64_t spun_ns);

  // --- for the watcher -------------------------------------------------
  // The queues to be looked at now. Returns when the next look is due;
  // INT64_MAX if nothing is to be looked at until it is poked.
  int64_t CollectLooks(int64_t now_ns, std::vector<Queue*>* queues);

 private:
  friend struct TestAccess;

  // Waiters that are to be woken once the lock is released.
  struct Wakes {
    ~Wakes();
    Waiter* first = nullptr;
    // Whose decision changes by itself sooner than the watcher wakes up.
    Watcher* watcher = nullptr;
    // The process's place in a domain whose other processes are to be told.
    domain::Member* member = nullptr;
  };
  using ListHead = Queue*;
  using LinkOf = Seat::Link Seat::*;

  Standing StandingOf(const Queue& queue) const;
  static void Push(ListHead* first, ListHead* last, LinkOf link, Queue* queue);
  static void Unlink(
      ListHead* first, ListHead* last, LinkOf link, Queue* queue);
  void LinkReady(Queue* queue);
  void UnlinkReady(Queue* queue);
  void SetReady(Queue* queue, bool ready);
  // Whether the queue has reason to be ready.
  bool Works(const Queue& queue) const;
  static bool Wants(const Queue& queue);
  // Makes it what it has reason to be.
  void Reassess(Queue* queue);
  bool TryToBeIdle(Queue* queue);
  // After every change. 'cause' is blamed for the queues that have to stop.
  void Decide(Queue* cause, Wakes* wakes);
  void TellGang(domain::Gang* gang) const;
  int CountSharers() const;
  // Who has a slice from now on; null: nobody.
  void GiveSlice(ModelShare* share, Wakes* wakes);
  void LetLaunch(Queue* queue, Wakes* wakes);
  void EndSlice(Queue* queue);
  // Whose turn it is from now on of those that have weights; null: all of theirs.
  void GiveTurn(const ModelShare* share, Wakes* wakes);
  void PassOver(Queue* queue, Wakes* wakes);
  static std::vector<Queue*> PresentOf(const std::vector<Queue*>& queues);
  ModelShare* Entitle(
      const std::vector<Queue*>& queues, const std::string& model,
      int ModelShare::*right, int value, Wakes* wakes);
  void EntitleGang(
      const std::vector<Queue*>& queues, const std::string& model,
      Wakes* wakes);
  ModelShare* FindShare(const std::string& model, const Queue& queue);
  int RoomBeside(const ModelShare* share) const;
  // Null: it shares nothing any more.
  void SetShare(Queue* queue, ModelShare* share, Wakes* wakes);
  // Before the policy knows; the share ends with its last queue.
  void LeaveShare(Queue* queue);
  bool IsOpen(const Queue& queue) const;
  void Wake(Waiter* waiter, Wakes* wakes);
  void WakeAll(Queue* queue, Wakes* wakes);
  void WakeIfOpen(Queue* queue, Wakes* wakes);
  void WakeThoseWithOwnWork(Wakes* wakes);
  void Unlink(Waiter* waiter);
  void SetHeldBack(Queue* queue, uint8_t bit, bool set);
  // Whether launches of other processes wait for the queues here.
  bool OthersWait() const;
  int64_t ExpectedNs() const;
  int64_t LookAfterNs(const Queue& queue, int64_t now_ns) const;

  const int id_;
  Turn turn_;
  std::atomic<int> sharers_{1};
  std::atomic<Queue*> unknown_{nullptr};
  std::atomic<bool> spinning_{false};
  std::atomic<int64_t> next_spin_ns_{0};

  // Guards all that follows, and the seats of the queues.
  std::mutex mutex_;
  std::unique_ptr<Policy> policy_;
  // What is in force: in a slice it is the turn of no priority.
  Decision decision_;
  ModelShare* slice_ = nullptr;
  // Of those that have weights. Not to be followed: it may have ended.
  const ModelShare* weighted_turn_ = nullptr;
  bool weighted_turn_ended_ = false;
  std::vector<std::unique_ptr<ModelShare>> shares_;
  // When the watcher is going to ask the policy.
  int64_t watched_change_ns_ = INT64_MAX;
  // Whether anybody waits for what has its turn here, as the watcher saw last,
  // and since when.
  bool awaited_ = false;
  int64_t awaited_since_ns_ = 0;
  // Null if there is no domain; never destroyed.
  domain::Member* member_ = nullptr;
  bool in_domain_ = true;
  // The same; set under the lock.
  std::atomic<domain::Gang*> gang_{nullptr};
  std::vector<Queue*> queues_;
  // Of each priority: how often its turn has ended (read by anyone); those that
  // are ready; those that launches wait in.
  struct Level {
    std::atomic<uint64_t> closures{0};
    ListHead first_ready = nullptr;
    ListHead last_ready = nullptr;
    ListHead first_waiting = nullptr;
    ListHead last_waiting = nullptr;
  };
  const std::unique_ptr<Level[]> levels_;
  PriorityCounts ready_;
  PriorityCounts sharing_;  // the ready ones that share the limit
  PriorityCounts waiting_;  // launches
  int waiting_with_own_work_ = 0;
  // All that are ready, the one that was looked at longest ago first.
  ListHead first_watched_ = nullptr;
  ListHead last_watched_ = nullptr;
  // The watcher sleeps until it is poked; nothing has been ready since then.
  bool watcher_rests_ = true;
  int64_t nothing_since_ns_ = 0;

  Durations durations_;
  RoomTurn room_turn_;
  Lateness lateness_;
  Watcher watcher_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_DEVICE_H_
