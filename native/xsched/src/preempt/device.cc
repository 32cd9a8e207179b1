// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/device.h"

#include <sched.h>

#include <algorithm>
#include <iterator>

#include "preempt/clock.h"
#include "preempt/scheduler.h"
#include "preempt/thread_work.h"
#include "preempt/wait.h"

namespace xsched {
namespace {

// What a model in a gang has that has no weight of its own.
constexpr int kWeightOfGangs = 10;

// However many queues share the limit, each may keep its part of the device
// busy.
constexpr int kMaxSharers = 8;

// Of a queue that others wait for, the next look is due after this part of the
// time that they have waited for it, within these bounds. The more it has taken,
// the less it matters.
constexpr int64_t kLookPart = 16;
constexpr int64_t kMinLookNs = 50000;
constexpr int64_t kMaxLookNs = 5000000;
// Where the application synchronises by itself, that is noticed first.
constexpr int64_t kMinLazyLookNs = 500000;
// At each ready queue that nobody waits for: so often, and so many a second.
constexpr int64_t kWatchNs = 20000000;
constexpr int64_t kWatchEachNs = 1000000;
constexpr size_t kMaxLooks = 32;
// How long the watcher goes on without anything to watch, so that who launches
// now and then need not wake it.
constexpr int64_t kLingerNs = 1000000000;

// A turn is expected by the first few of the queues that have it.
constexpr int kMaxExpected = 4;
// After a spin of some length there is none for so many times that.
constexpr int64_t kSpinPause = 32;

// By how much sooner a decision must change for the watcher to be told.
constexpr int64_t kChangeSlackNs = 50000;

// The policy has it from here.
ModelShare*
Shared(const void* share)
{
  return const_cast<ModelShare*>(static_cast<const ModelShare*>(share));
}

constexpr size_t
LevelOf(Priority priority)
{
  return static_cast<size_t>(priority - PRIORITY_NO_EXECUTE);
}

}  // namespace

void
Waiter::Sleep(int64_t timeout_ns)
{
  uint32_t state = kAwake;
  // Relaxed: only says whether a call of the kernel is needed to wake it.
  if (state_.compare_exchange_strong(
          state, kAsleep, std::memory_order_relaxed)) {
    FutexWait(&state_, kAsleep, timeout_ns);
    state = kAsleep;
    state_.compare_exchange_strong(state, kAwake, std::memory_order_relaxed);
  }
}

// Destroyed after the lock is released.
Device::Wakes::~Wakes()
{
  for (Waiter* waiter = first; waiter != nullptr;) {
    // Once it is woken, it may be gone.
    Waiter* const next = waiter->next_;
    std::atomic<uint32_t>* const state = &waiter->state_;
    // Release: see Woken.
    if (state->exchange(Waiter::kWoken, std::memory_order_release) ==
        Waiter::kAsleep) {
      FutexWakeOne(state);
    }
    waiter = next;
  }
  if (member != nullptr) {
    member->Ring();
  }
  if (watcher != nullptr) {
    watcher->Poke();
  }
}

Device::Device(int id, std::unique_ptr<Policy> policy)
    : id_(id), policy_(std::move(policy)), decision_(policy_->Decide()),
      levels_(new Level[PriorityCounts::kLevels]), watcher_(this)
{
  turn_.Set(decision_);
}

bool
Device::MayTryUnknown(Queue* queue)
{
  // Whether it has such a launch in flight or is about to. In this order: who
  // is no longer about to has it in flight.
  const auto has = [](Queue* other) {
    return other->tries_unknown.load(std::memory_order_seq_cst) ||
           other->flight.HasUnknown();
  };
  // Sequentially consistent throughout: a queue says that it tries, and then
  // looks who may; who takes that over from another one looks whether it tries
  // after that, too. So at least one of the two sees the other.
  Queue* holder = unknown_.load(std::memory_order_seq_cst);
  if (holder == queue) {
    return true;
  }
  if (holder != nullptr) {
    holder->flight.Look();
    if (has(holder)) {
      return false;
    }
  }
  Queue* expected = holder;
  if (!unknown_.compare_exchange_strong(
          expected, queue, std::memory_order_seq_cst)) {
    return false;
  }
  if (holder != nullptr && has(holder)) {
    expected = queue;
    unknown_.compare_exchange_strong(
        expected, holder, std::memory_order_seq_cst);
    return false;
  }
  return true;
}

// --- lists -------------------------------------------------------------------

void
Device::Push(ListHead* first, ListHead* last, LinkOf link, Queue* queue)
{
  (queue->seat.*link) = {*last, nullptr};
  (*last == nullptr ? *first : ((*last)->seat.*link).next) = queue;
  *last = queue;
}

void
Device::Unlink(ListHead* first, ListHead* last, LinkOf link, Queue* queue)
{
  Seat::Link& own = queue->seat.*link;
  (own.previous == nullptr ? *first : (own.previous->seat.*link).next) =
      own.next;
  (own.next == nullptr ? *last : (own.next->seat.*link).previous) =
      own.previous;
  own = {};
}

// --- readiness ---------------------------------------------------------------

Standing
Device::StandingOf(const Queue& queue) const
{
  const ModelShare* const share = queue.seat.share;
  return {
      &queue,
      queue.seat.priority,
      queue.seat.ready,
      share == nullptr ? 0 : share->floor,
      share == nullptr ? 0 : share->weight,
      share};
}

void
Device::LinkReady(Queue* queue)
{
  const Seat& seat = queue->seat;
  Level& level = levels_[LevelOf(seat.priority)];
  Push(&level.first_ready, &level.last_ready, &Seat::of_level, queue);
  ready_.Add(seat.priority);
  if (seat.shares_limit) {
    sharing_.Add(seat.priority);
  }
}

void
Device::UnlinkReady(Queue* queue)
{
  const Seat& seat = queue->seat;
  Level& level = levels_[LevelOf(seat.priority)];
  Unlink(&level.first_ready, &level.last_ready, &Seat::of_level, queue);
  ready_.Remove(seat.priority);
  if (seat.shares_limit) {
    sharing_.Remove(seat.priority);
  }
}

void
Device::SetReady(Queue* queue, bool ready)
{
  Seat& seat = queue->seat;
  const Standing before = StandingOf(*queue);
  seat.ready = ready;
  policy_->Changed(before, StandingOf(*queue));
  if (ready) {
    const int64_t now_ns = NowNs();
    seat.ready_since_ns = now_ns;
    seat.looked_ns = now_ns;
    seat.next_look_ns = LookAfterNs(*queue, now_ns);
    seat.used_ns = 0;
    LinkReady(queue);
    Push(&first_watched_, &last_watched_, &Seat::of_watch, queue);
    // Relaxed: the flag that follows is what others look at.
    queue->epoch.fetch_add(1, std::memory_order_relaxed);
  } else {
    UnlinkReady(queue);
    Unlink(&first_watched_, &last_watched_, &Seat::of_watch, queue);
    // Here, where a launch that follows makes the queue ready first, so that
    // nothing of it is forgotten.
    queue->uncounted.store(false, std::memory_order_relaxed);
    queue->flight.Clear();
    queue->ends.Clear();
    for (auto& foreign : queue->foreign) {
      foreign.store(0, std::memory_order_relaxed);
    }
    queue->foreign_overflow.store(false, std::memory_order_relaxed);
    nothing_since_ns_ = NowNs();
  }
  // Sequentially consistent: see TryToBeIdle.
  queue->ready.store(ready, std::memory_order_seq_cst);
}

bool
Device::Works(const Queue& queue) const
{
  return queue.submitted.load(std::memory_order_seq_cst) -
             queue.waiting.load(std::memory_order_relaxed) !=
         queue.seat.drained;
}

bool
Device::Wants(const Queue& queue)
{
  return queue.waiting.load(std::memory_order_relaxed) != 0 &&
         queue.held_back.load(std::memory_order_relaxed) == 0;
}

// A launch counts itself and then looks whether the queue is ready; here it is
// said not to be and then the launches are looked at (sequentially consistent):
// either the launch makes the queue ready, or it is seen here.
bool
Device::TryToBeIdle(Queue* queue)
{
  queue->ready.store(false, std::memory_order_seq_cst);
  if (Works(*queue) || Wants(*queue)) {
    queue->ready.store(true, std::memory_order_seq_cst);
    return false;
  }
  SetReady(queue, false);
  return true;
}

void
Device::Reassess(Queue* queue)
{
  if (!queue->seat.present) {
    return;
  }
  if (queue->seat.ready) {
    TryToBeIdle(queue);
  } else if (Works(*queue) || Wants(*queue)) {
    SetReady(queue, true);
  }
}

void
Device::MarkReady(Queue* queue)
{
  bool poke = false;
  {
    Wakes wakes;
    std::lock_guard<std::mutex> lock(mutex_);
    if (!queue->seat.present || queue->seat.ready) {
      return;
    }
    SetReady(queue, true);
    Decide(queue, &wakes);
    poke = watcher_rests_ || OthersWait();
    watcher_rests_ = false;
  }
  if (poke) {
    watcher_.Poke();
  }
}

bool
Device::MarkIdle(Queue* queue, uint64_t launched, int64_t busy_until_ns)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  Seat& seat = queue->seat;
  if (!seat.present || !seat.ready) {
    return false;
  }
  const uint64_t drained = std::exchange(seat.drained, launched);
  if (!TryToBeIdle(queue)) {
    // What is known to be done stays known only if all of it is.
    if (Works(*queue)) {
      seat.drained = drained;
    }
    return false;
  }
  const int64_t took_ns =
      std::max<int64_t>(busy_until_ns - seat.ready_since_ns, 1);
  seat.usual_ready_ns =
      seat.usual_ready_ns == 0
          ? took_ns
          : seat.usual_ready_ns + (took_ns - seat.usual_ready_ns) / 4;
  if (seat.used_ns == 0) {
    policy_->Used(StandingOf(*queue), took_ns);
  }
  Decide(nullptr, &wakes);
  WakeThoseWithOwnWork(&wakes);
  return true;
}

void
Device::Used(Queue* queue, int64_t device_ns)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  if (queue->seat.present) {
    queue->seat.used_ns += device_ns;
    if (queue->seat.share != nullptr) {
      queue->seat.share->recent_use.Add(device_ns, NowNs());
    }
    policy_->Used(StandingOf(*queue), device_ns);
    if (member_ != nullptr) {
      member_->AddUsed(device_ns);
    }
    Decide(nullptr, &wakes);
  }
}

std::vector<Queue*>
Device::Ready()
{
  std::vector<Queue*> queues;
  std::lock_guard<std::mutex> lock(mutex_);
  for (Queue* queue = first_watched_; queue != nullptr;
       queue = queue->seat.of_watch.next) {
    queues.push_back(queue);
  }
  return queues;
}

std::vector<Queue*>
Device::ReadyIn(const Context& context)
{
  std::vector<Queue*> queues;
  std::lock_guard<std::mutex> lock(mutex_);
  for (Queue* queue = first_watched_; queue != nullptr;
       queue = queue->seat.of_watch.next) {
    if (queue->Home() == &context) {
      queues.push_back(queue);
    }
  }
  return queues;
}

// --- decisions ---------------------------------------------------------------

void
Device::Decide(Queue* cause, Wakes* wakes)
{
  const Decision before = decision_;
  // The child of a fork has no part in it.
  const bool in_domain =
      member_ != nullptr && in_domain_ && !Scheduler::Disabled();
  if (in_domain && !shares_.empty()) {
    const domain::Member::Others outside = member_->Outside();
    Elsewhere elsewhere;
    elsewhere.ready = outside.ready;
    elsewhere.floors = outside.floors;
    elsewhere.partners = outside.partners;
    for (const auto& rival : outside.rivals) {
      elsewhere.rivals.push_back({rival.who, rival.ready, rival.weight});
    }
    elsewhere.own = member_->OwnIdentity();
    policy_->SetElsewhere(elsewhere);
  }
  decision_ = policy_->Decide();
  bool others_slice = false;
  if (in_domain) {
    member_->ShareBy(decision_.weights);
    const domain::Claim all = member_->Publish(
        {decision_.open_from, std::min(decision_.bounded_below, PRIORITY_MAX),
         decision_.floors, decision_.slice == nullptr ? 0 : 1},
        waiting_.Highest());
    decision_.open_from = std::max(decision_.open_from, all.Ready());
    decision_.bounded_below = std::max(decision_.bounded_below, all.Ceiling());
    decision_.floors = all.Floors();
    others_slice = all.Slice() != 0 && all.Slice() != member_->OwnSlice();
    if (decision_.slice != nullptr && all.Slice() != member_->OwnSlice()) {
      policy_->SliceRefused();
      decision_.slice = nullptr;
    }
    wakes->member = member_;
  }
  if (decision_.floors != 0) {
    decision_.bounded_below = PRIORITY_MAX + 1;
  }
  // It takes the turn from everybody else.
  const bool slice = decision_.slice != nullptr || others_slice;
  if (slice) {
    decision_.open_from = PRIORITY_MAX + 1;
  }
  if (decision_.open_from > before.open_from) {
    // For a slice, nobody is to blame.
    if (cause != nullptr && !slice) {
      const bool itself = cause->seat.ready &&
                          cause->seat.priority >= before.open_from &&
                          cause->seat.priority < decision_.open_from;
      cause->preemptions.fetch_add(
          ready_.Between(before.open_from, decision_.open_from) -
              (itself ? 1 : 0),
          std::memory_order_relaxed);
    }
    // Release, and before the turn ends: who sees it open afterwards and finds
    // the same number has not missed anything.
    sharing_.ForEach(
        before.open_from, decision_.open_from, [this](Priority priority) {
          levels_[LevelOf(priority)].closures.fetch_add(
              1, std::memory_order_release);
        });
  }
  sharers_.store(
      std::min(std::max(CountSharers(), 1), kMaxSharers),
      std::memory_order_relaxed);
  GiveSlice(Shared(decision_.slice), wakes);
  GiveTurn(Shared(decision_.turn), wakes);
  turn_.Set(decision_);
  if (domain::Gang* const gang = GetGang()) {
    TellGang(gang);
  }
  waiting_.ForEach(
      decision_.open_from, before.open_from, [&](Priority priority) {
        Queue* next = nullptr;
        for (Queue* queue = levels_[LevelOf(priority)].first_waiting;
             queue != nullptr; queue = next) {
          next = queue->seat.of_waiting.next;
          WakeIfOpen(queue, wakes);
        }
      });
  // The estimate of when that is wavers a little.
  const int64_t change_ns = policy_->ChangesAtNs();
  if (change_ns < watched_change_ns_ - kChangeSlackNs) {
    watched_change_ns_ = change_ns;
    wakes->watcher = &watcher_;
  }
}

// A launch says when it is held back. That it is not any more is also said if none
// comes, since the device may wait for others of the gang.
void
Device::TellGang(domain::Gang* gang) const
{
  const bool busy = ready_.Total() != 0;
  gang->SetBusy(busy);
  if (busy && waiting_.Total() == 0 &&
      IsOpen(*levels_[LevelOf(ready_.Highest())].first_ready)) {
    gang->SetHeld(false);
  }
}

// The ready queues that may launch under the limit now.
int
Device::CountSharers() const
{
  const auto count = [](const ModelShare& share, Priority least) {
    return static_cast<int>(std::count_if(
        share.queues.begin(), share.queues.end(), [&](const Queue* queue) {
          return queue->seat.ready && queue->seat.shares_limit &&
                 queue->seat.priority >= least;
        }));
  };
  if (decision_.slice != nullptr) {
    return count(*Shared(decision_.slice), PRIORITY_NO_EXECUTE);
  }
  if (decision_.open_from >= decision_.bounded_below) {
    return 1;
  }
  int sharers = sharing_.At(decision_.open_from);
  if (decision_.turn != nullptr) {
    for (const auto& share : shares_) {
      sharers -= share->weight != 0 && share.get() != decision_.turn
                     ? count(*share, decision_.open_from)
                     : 0;
    }
  }
  return sharers;
}

void
Device::GiveSlice(ModelShare* share, Wakes* wakes)
{
  if (share == slice_) {
    return;
  }
  if (slice_ != nullptr) {
    for (Queue* queue : slice_->queues) {
      EndSlice(queue);
    }
  }
  slice_ = share;
  if (share != nullptr) {
    for (Queue* queue : share->queues) {
      LetLaunch(queue, wakes);
    }
  }
}

void
Device::LetLaunch(Queue* queue, Wakes* wakes)
{
  // Sequentially consistent: see Turn.
  queue->in_slice.store(true, std::memory_order_seq_cst);
  WakeIfOpen(queue, wakes);
}

void
Device::EndSlice(Queue* queue)
{
  // As at any end of a turn; before it, see Decide.
  levels_[LevelOf(queue->seat.priority)].closures.fetch_add(
      1, std::memory_order_release);
  // Sequentially consistent: see Turn.
  queue->in_slice.store(false, std::memory_order_seq_cst);
}

void
Device::GiveTurn(const ModelShare* turn, Wakes* wakes)
{
  if (turn == weighted_turn_ && !weighted_turn_ended_) {
    return;
  }
  weighted_turn_ = turn;
  weighted_turn_ended_ = false;
  for (const auto& share : shares_) {
    for (Queue* queue : share->queues) {
      PassOver(queue, wakes);
    }
  }
}

void
Device::PassOver(Queue* queue, Wakes* wakes)
{
  const ModelShare* const share = queue->seat.share;
  const bool passed_over = weighted_turn_ != nullptr && share != nullptr &&
                           share->weight != 0 && share != weighted_turn_;
  if (passed_over == queue->passed_over.load(std::memory_order_relaxed)) {
    return;
  }
  if (passed_over) {
    // As at any end of a turn; before it, see Decide.
    levels_[LevelOf(queue->seat.priority)].closures.fetch_add(
        1, std::memory_order_release);
  }
  // Sequentially consistent: see Turn.
  queue->passed_over.store(passed_over, std::memory_order_seq_cst);
  WakeIfOpen(queue, wakes);
}

bool
Device::IsOpen(const Queue& queue) const
{
  return (queue.seat.priority >= decision_.open_from &&
          !queue.passed_over.load(std::memory_order_relaxed)) ||
         (slice_ != nullptr && queue.seat.share == slice_);
}

void
Device::Add(Queue* queue)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  queues_.push_back(queue);
  Seat& seat = queue->seat;
  seat = {};
  seat.present = true;
  // What it was given before is not this device's concern.
  seat.drained = queue->submitted.load(std::memory_order_seq_cst);
  queue->priority.store(PRIORITY_DEFAULT, std::memory_order_relaxed);
  queue->held_back.store(0, std::memory_order_relaxed);
  queue->shares_limit.store(false, std::memory_order_relaxed);
  queue->passed_over.store(false, std::memory_order_relaxed);
  queue->flight.Follow(Closures(PRIORITY_DEFAULT));
  policy_->Added(StandingOf(*queue));
  Decide(queue, &wakes);
}

void
Device::Remove(Queue* queue)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  Seat& seat = queue->seat;
  if (!seat.present) {
    return;
  }
  WakeAll(queue, &wakes);
  if (seat.ready) {
    SetReady(queue, false);
  }
  const Standing before = StandingOf(*queue);
  LeaveShare(queue);
  policy_->Removed(before);
  seat.present = false;
  queue->held_back.store(0, std::memory_order_relaxed);
  queue->passed_over.store(false, std::memory_order_relaxed);
  queues_.erase(std::find(queues_.begin(), queues_.end(), queue));
  Decide(nullptr, &wakes);
  WakeThoseWithOwnWork(&wakes);
}

void
Device::SetPriority(Queue* queue, Priority priority)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  Seat& seat = queue->seat;
  if (!seat.present) {
    return;
  }
  const Standing before = StandingOf(*queue);
  const uint32_t waiting = queue->waiting.load(std::memory_order_relaxed);
  Level& old_level = levels_[LevelOf(seat.priority)];
  if (seat.ready) {
    UnlinkReady(queue);
  }
  if (waiting != 0) {
    Unlink(
        &old_level.first_waiting, &old_level.last_waiting, &Seat::of_waiting,
        queue);
  }
  for (uint32_t i = 0; i < waiting; ++i) {
    waiting_.Remove(seat.priority);
    waiting_.Add(priority);
  }
  seat.priority = priority;
  queue->priority.store(
      static_cast<int16_t>(priority), std::memory_order_relaxed);
  Level& level = levels_[LevelOf(priority)];
  if (waiting != 0) {
    Push(&level.first_waiting, &level.last_waiting, &Seat::of_waiting, queue);
  }
  if (seat.ready) {
    LinkReady(queue);
  }
  policy_->Changed(before, StandingOf(*queue));
  queue->flight.Follow(&level.closures);
  SetHeldBack(queue, kNoExecute, priority == PRIORITY_NO_EXECUTE);
  Decide(queue, &wakes);
  WakeIfOpen(queue, &wakes);
  WakeThoseWithOwnWork(&wakes);
}

// --- what models share -------------------------------------------------------

ModelShare*
Device::FindShare(const std::string& model, const Queue& queue)
{
  if (model.empty()) {
    return queue.seat.share;
  }
  const auto share = std::find_if(
      shares_.begin(), shares_.end(),
      [&](const auto& each) { return each->model == model; });
  return share == shares_.end() ? nullptr : share->get();
}

int
Device::RoomBeside(const ModelShare* share) const
{
  int room = kMaxFloors;
  for (const auto& each : shares_) {
    room -= each.get() == share ? 0 : each->floor;
  }
  return std::min(room, kMaxFloor);
}

int
Device::RoomForFloor(const std::string& model, const Queue& queue)
{
  std::lock_guard<std::mutex> lock(mutex_);
  return RoomBeside(FindShare(model, queue));
}

std::vector<Queue*>
Device::PresentOf(const std::vector<Queue*>& queues)
{
  std::vector<Queue*> present;
  std::copy_if(
      queues.begin(), queues.end(), std::back_inserter(present),
      [](const Queue* queue) { return queue->seat.present; });
  return present;
}

bool
Device::SetFloor(
    const std::vector<Queue*>& queues, const std::string& model, int percent)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<Queue*> present = PresentOf(queues);
  if (!present.empty() &&
      percent > RoomBeside(FindShare(model, *present.front()))) {
    return false;
  }
  Entitle(present, model, &ModelShare::floor, percent, &wakes);
  return true;
}

void
Device::SetWeight(
    const std::vector<Queue*>& queues, const std::string& model, int weight)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  if (ModelShare* const share = Entitle(
          PresentOf(queues), model, &ModelShare::weight, weight, &wakes)) {
    share->weight_is_gangs = false;
  }
}

void
Device::SetWeightOfGang(
    const std::vector<Queue*>& queues, const std::string& model)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  EntitleGang(PresentOf(queues), model, &wakes);
}

void
Device::EntitleGang(
    const std::vector<Queue*>& queues, const std::string& model, Wakes* wakes)
{
  if (queues.empty()) {
    return;
  }
  const ModelShare* const before = FindShare(model, *queues.front());
  if (before == nullptr || before->weight == 0) {
    Entitle(queues, model, &ModelShare::weight, kWeightOfGangs, wakes)
        ->weight_is_gangs = true;
  }
}

// The share that the queues have after that; null: none.
ModelShare*
Device::Entitle(
    const std::vector<Queue*>& queues, const std::string& model,
    int ModelShare::*right, int value, Wakes* wakes)
{
  if (queues.empty()) {
    return nullptr;
  }
  ModelShare* share = FindShare(model, *queues.front());
  if (share == nullptr && value != 0) {
    auto made = std::make_unique<ModelShare>();
    made->model = model;
    made->queues.reserve(queues.size());
    shares_.push_back(std::move(made));
    share = shares_.back().get();
  }
  if (share != nullptr) {
    share->*right = value;
    share = share->floor == 0 && share->weight == 0 ? nullptr : share;
  }
  for (Queue* queue : queues) {
    SetShare(queue, share, wakes);
  }
  Decide(nullptr, wakes);
  return share;
}

void
Device::JoinModel(const std::string& model, Queue* queue)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  if (!queue->seat.present) {
    return;
  }
  ModelShare* const share = model.empty() ? nullptr : FindShare(model, *queue);
  if (share != queue->seat.share) {
    SetShare(queue, share, &wakes);
    Decide(nullptr, &wakes);
  }
  if (share == nullptr && !model.empty() && GetGang() != nullptr) {
    EntitleGang({queue}, model, &wakes);
  }
}

void
Device::SetShare(Queue* queue, ModelShare* share, Wakes* wakes)
{
  Seat& seat = queue->seat;
  const Standing before = StandingOf(*queue);
  if (seat.share != share) {
    if (share != nullptr) {
      // The only step that can fail, for want of memory.
      share->queues.push_back(queue);
    }
    LeaveShare(queue);
    seat.share = share;
    if (share != nullptr && share == slice_) {
      LetLaunch(queue, wakes);
    }
  }
  PassOver(queue, wakes);
  policy_->Changed(before, StandingOf(*queue));
}

void
Device::LeaveShare(Queue* queue)
{
  ModelShare* const share = std::exchange(queue->seat.share, nullptr);
  if (share == nullptr) {
    return;
  }
  if (share == slice_) {
    EndSlice(queue);
  }
  auto& queues = share->queues;
  queues.erase(std::find(queues.begin(), queues.end(), queue));
  if (!queues.empty()) {
    return;
  }
  slice_ = share == slice_ ? nullptr : slice_;
  weighted_turn_ended_ = weighted_turn_ended_ || share == weighted_turn_;
  shares_.erase(std::find_if(
      shares_.begin(), shares_.end(),
      [&](const auto& each) { return each.get() == share; }));
}

// --- the policy and the domain -----------------------------------------------

void
Device::SetPolicy(std::unique_ptr<Policy> policy, bool in_domain)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  policy_ = std::move(policy);
  in_domain_ = in_domain;
  if (member_ != nullptr) {
    turn_.Follow(in_domain ? member_->Top() : nullptr, member_->OwnSlice());
    if (!in_domain) {
      member_->Publish({}, PRIORITY_NO_EXECUTE);
      wakes.member = member_;
    }
  }
  for (Queue* queue : queues_) {
    policy_->Added(StandingOf(*queue));
  }
  Decide(nullptr, &wakes);
  WakeThoseWithOwnWork(&wakes);
}

void
Device::Join(domain::Member* member)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  member_ = member;
  turn_.Follow(member->Top(), member->OwnSlice());
  Decide(nullptr, &wakes);
}

void
Device::Join(domain::Gang* gang)
{
  std::lock_guard<std::mutex> lock(mutex_);
  gang->SetBusy(ready_.Total() != 0);
  // Release: it is complete before a launch finds it.
  gang_.store(gang, std::memory_order_release);
}

bool
Device::HasJoined()
{
  std::lock_guard<std::mutex> lock(mutex_);
  return member_ != nullptr;
}

const domain::Member*
Device::Domain()
{
  std::lock_guard<std::mutex> lock(mutex_);
  return in_domain_ ? member_ : nullptr;
}

void
Device::DomainChanged()
{
  bool poke = false;
  {
    Wakes wakes;
    std::lock_guard<std::mutex> lock(mutex_);
    Decide(nullptr, &wakes);
    WakeThoseWithOwnWork(&wakes);
    poke = OthersWait();
    watcher_rests_ = watcher_rests_ && !poke;
  }
  if (poke) {
    watcher_.Poke();
  }
}

bool
Device::OthersWait() const
{
  return member_ != nullptr && in_domain_ && ready_.Total() != 0 &&
         member_->OthersWait();
}

void
Device::SetHeldBack(Queue* queue, uint8_t bit, bool set)
{
  const uint8_t old = queue->held_back.load(std::memory_order_relaxed);
  // Sequentially consistent: see Turn.
  queue->held_back.store(
      static_cast<uint8_t>(set ? old | bit : old & ~bit),
      std::memory_order_seq_cst);
  Reassess(queue);
}

void
Device::Suspend(Queue* queue)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  if (queue->seat.present) {
    SetHeldBack(queue, kSuspended, true);
    Decide(nullptr, &wakes);
    WakeThoseWithOwnWork(&wakes);
  }
}

void
Device::Resume(Queue* queue)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  if (queue->seat.present) {
    SetHeldBack(queue, kSuspended, false);
    Decide(queue, &wakes);
    WakeIfOpen(queue, &wakes);
  }
}

void
Device::Share(Queue* queue)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  Seat& seat = queue->seat;
  if (!seat.present || seat.shares_limit) {
    return;
  }
  seat.shares_limit = true;
  queue->shares_limit.store(true, std::memory_order_relaxed);
  if (seat.ready) {
    sharing_.Add(seat.priority);
  }
  Decide(nullptr, &wakes);
}

Device::Description
Device::Describe(const Queue& queue)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const ModelShare* const share = queue.seat.share;
  return {
      queue.seat.priority,
      queue.seat.ready,
      (queue.seat.priority < turn_.Closely().open_from ||
       queue.passed_over.load(std::memory_order_relaxed)) &&
          (share == nullptr || share != slice_),
      queue.held_back.load(std::memory_order_relaxed),
      share == nullptr ? 0 : share->floor,
      share == nullptr || share->weight_is_gangs ? 0 : share->weight,
      share == nullptr ? 0 : share->recent_use.Sum(NowNs())};
}

// --- waiting -----------------------------------------------------------------

void
Device::Unlink(Waiter* waiter)
{
  Queue* const queue = waiter->queue_;
  Seat& seat = queue->seat;
  (waiter->previous_ == nullptr ? seat.waiters : waiter->previous_->next_) =
      waiter->next_;
  if (waiter->next_ != nullptr) {
    waiter->next_->previous_ = waiter->previous_;
  }
  waiter->linked_ = false;
  waiting_with_own_work_ -= waiter->has_own_work_ ? 1 : 0;
  waiting_.Remove(seat.priority);
  if (queue->waiting.fetch_sub(1, std::memory_order_relaxed) == 1) {
    Level& level = levels_[LevelOf(seat.priority)];
    Unlink(&level.first_waiting, &level.last_waiting, &Seat::of_waiting, queue);
  }
}

void
Device::Wake(Waiter* waiter, Wakes* wakes)
{
  Unlink(waiter);
  waiter->next_ = wakes->first;
  wakes->first = waiter;
}

void
Device::WakeAll(Queue* queue, Wakes* wakes)
{
  while (queue->seat.waiters != nullptr) {
    Wake(queue->seat.waiters, wakes);
  }
}

void
Device::WakeIfOpen(Queue* queue, Wakes* wakes)
{
  if (!IsOpen(*queue)) {
    return;
  }
  const uint8_t held_back = queue->held_back.load(std::memory_order_relaxed);
  Waiter* next = nullptr;
  for (Waiter* waiter = queue->seat.waiters; waiter != nullptr; waiter = next) {
    next = waiter->next_;
    if ((held_back & ~waiter->may_ignore_) == 0) {
      Wake(waiter, wakes);
    }
  }
}

// Those may go when the others are idle, while what is their own is not.
void
Device::WakeThoseWithOwnWork(Wakes* wakes)
{
  if (waiting_with_own_work_ == 0) {
    return;
  }
  waiting_.ForEach(
      PRIORITY_NO_EXECUTE, PRIORITY_MAX + 1, [&](Priority priority) {
        Queue* next_queue = nullptr;
        for (Queue* queue = levels_[LevelOf(priority)].first_waiting;
             queue != nullptr; queue = next_queue) {
          next_queue = queue->seat.of_waiting.next;
          Waiter* next = nullptr;
          for (Waiter* waiter = queue->seat.waiters; waiter != nullptr;
               waiter = next) {
            next = waiter->next_;
            if (waiter->has_own_work_) {
              Wake(waiter, wakes);
            }
          }
        }
      });
}

Device::Answer
Device::Enter(Waiter* waiter, uint32_t generation, uint8_t may_ignore)
{
  Queue* const queue = waiter->queue_;
  Answer answer = {Answer::kWait, 0};
  bool poke = false;
  {
    Wakes wakes;
    std::lock_guard<std::mutex> lock(mutex_);
    Seat& seat = queue->seat;
    if (!seat.present ||
        queue->generation.load(std::memory_order_relaxed) != generation) {
      // The queue was destroyed, and begins another life perhaps.
      return {Answer::kGoThoughNotItsTurn, 0};
    }
    const uint8_t held_back = static_cast<uint8_t>(
        queue->held_back.load(std::memory_order_relaxed) & ~may_ignore);
    bool has_own_work = false;
    if (member_ != nullptr) {
      Decide(nullptr, &wakes);
    }
    if (held_back == 0) {
      if (IsOpen(*queue)) {
        return {
            queue->held_back.load(std::memory_order_relaxed) == 0
                ? Answer::kGo
                : Answer::kGoThoughNotItsTurn,
            0};
      }
      const int own = CountOwnWorkAbove(*queue);
      if (own != 0 && policy_->Blockers(seat.priority) <= own &&
          (member_ == nullptr || !in_domain_ ||
           !member_->HoldsBack(seat.priority))) {
        return {Answer::kGoThoughNotItsTurn, 0};
      }
      has_own_work = own != 0;
    }
    waiter->state_.store(Waiter::kAwake, std::memory_order_relaxed);
    waiter->linked_ = true;
    waiter->has_own_work_ = has_own_work;
    waiter->may_ignore_ = may_ignore;
    waiter->previous_ = nullptr;
    waiter->next_ = seat.waiters;
    if (seat.waiters != nullptr) {
      seat.waiters->previous_ = waiter;
    }
    seat.waiters = waiter;
    waiting_with_own_work_ += has_own_work ? 1 : 0;
    if (queue->waiting.fetch_add(1, std::memory_order_relaxed) == 0) {
      Level& level = levels_[LevelOf(seat.priority)];
      Push(&level.first_waiting, &level.last_waiting, &Seat::of_waiting, queue);
    }
    // The first one makes the watcher look closely.
    poke = waiting_.Total() == 0;
    waiting_.Add(seat.priority);
    Reassess(queue);
    Decide(nullptr, &wakes);
    poke = poke || watcher_rests_;
    watcher_rests_ = false;
    answer.expected_ns = held_back == 0 ? ExpectedNs() : 0;
  }
  if (poke) {
    watcher_.Poke();
  }
  return answer;
}

void
Device::Leave(Waiter* waiter)
{
  {
    Wakes wakes;
    std::lock_guard<std::mutex> lock(mutex_);
    if (waiter->linked_) {
      Unlink(waiter);
      Reassess(waiter->queue_);
      Decide(nullptr, &wakes);
      return;
    }
  }
  // Somebody has it in hand to wake it: it must not go before that.
  while (!waiter->Woken()) {
    sched_yield();
  }
}

int64_t
Device::ExpectedNs() const
{
  int64_t expected_ns = 0;
  int seen = 0;
  if (decision_.open_from > ready_.Highest()) {
    return 0;  // another process has it
  }
  for (const Queue* queue = levels_[LevelOf(ready_.Highest())].first_ready;
       queue != nullptr && seen < kMaxExpected;
       queue = queue->seat.of_level.next, ++seen) {
    if (queue->seat.usual_ready_ns == 0) {
      return 0;
    }
    expected_ns = std::max(
        expected_ns, queue->seat.ready_since_ns + queue->seat.usual_ready_ns);
  }
  return expected_ns;
}

bool
Device::TakeSpin(int64_t now_ns)
{
  return now_ns >= next_spin_ns_.load(std::memory_order_relaxed) &&
         !spinning_.exchange(true, std::memory_order_relaxed);
}

void
Device::GiveSpin(int64_t spun_ns)
{
  next_spin_ns_.store(
      NowNs() + kSpinPause * spun_ns, std::memory_order_relaxed);
  spinning_.store(false, std::memory_order_relaxed);
}

// --- for the watcher ---------------------------------------------------------

int64_t
Device::LookAfterNs(const Queue& queue, int64_t now_ns) const
{
  const Seat& seat = queue.seat;
  const int64_t least_ns =
      queue.app_synchronizes.load(std::memory_order_relaxed) ? kMinLazyLookNs
                                                             : kMinLookNs;
  const int64_t rest_ns =
      seat.usual_ready_ns == 0
          ? 0
          : seat.ready_since_ns + seat.usual_ready_ns - now_ns;
  const int64_t awaited_ns =
      now_ns - std::max(seat.ready_since_ns, awaited_since_ns_);
  return now_ns +
         std::min(
             std::max({awaited_ns / kLookPart, rest_ns, least_ns}), kMaxLookNs);
}

int64_t
Device::CollectLooks(int64_t now_ns, std::vector<Queue*>* queues)
{
  Wakes wakes;
  std::lock_guard<std::mutex> lock(mutex_);
  if (policy_->ChangesAtNs() <= now_ns) {
    Decide(nullptr, &wakes);
  }
  // Its pokes are for others: it comes back in time itself.
  wakes.watcher = nullptr;
  watched_change_ns_ = policy_->ChangesAtNs();
  if (first_watched_ == nullptr) {
    if (now_ns - nothing_since_ns_ < kLingerNs) {
      return now_ns + kWatchNs;
    }
    watcher_rests_ = true;
    return INT64_MAX;
  }
  int64_t next_ns = INT64_MAX;
  // What another process keeps from launching is not to be seen here.
  const bool awaited =
      (waiting_.Total() != 0 && decision_.open_from <= ready_.Highest()) ||
      OthersWait();
  if (awaited && !awaited_) {
    awaited_since_ns_ = now_ns;
  }
  awaited_ = awaited;
  if (awaited) {
    Level& level = levels_[LevelOf(ready_.Highest())];
    size_t rest = kMaxLooks;
    for (Queue* queue = level.first_ready; queue != nullptr && rest > 0;
         queue = queue->seat.of_level.next, --rest) {
      Seat& seat = queue->seat;
      if (seat.next_look_ns <= now_ns) {
        queues->push_back(queue);
        seat.next_look_ns = LookAfterNs(*queue, now_ns);
      }
      next_ns = std::min(next_ns, seat.next_look_ns);
    }
    // Those beyond come first the next time.
    if (rest == 0) {
      Queue* const first = level.first_ready;
      Unlink(&level.first_ready, &level.last_ready, &Seat::of_level, first);
      Push(&level.first_ready, &level.last_ready, &Seat::of_level, first);
    }
  }
  const int64_t each_ns =
      std::max<int64_t>(kWatchNs, ready_.Total() * kWatchEachNs);
  size_t rest = kMaxLooks;
  while (first_watched_->seat.looked_ns + each_ns <= now_ns && rest > 0) {
    Queue* const queue = first_watched_;
    queues->push_back(queue);
    queue->seat.looked_ns = now_ns;
    Unlink(&first_watched_, &last_watched_, &Seat::of_watch, queue);
    Push(&first_watched_, &last_watched_, &Seat::of_watch, queue);
    --rest;
  }
  return std::min(
      {next_ns, first_watched_->seat.looked_ns + each_ns, watched_change_ns_});
}

}  // namespace xsched
