// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>

#include "preempt/clock.h"
#include "preempt/clock_turns.h"
#include "preempt/policy.h"
#include "preempt/policy_on_top.h"
#include "preempt/share_accounts.h"

namespace xsched {
namespace {

// The most that can be owed for one weight, by or to those who share it.
constexpr int64_t kMostWeightDebtNs = 100000000;

// How many turns are looked at for the next change.
constexpr int64_t kTurnsAhead = 64;

// Weights on top of another policy: of the queues whose turn it is by that one,
// models that have weights take turns of one slice, and so get parts of the
// device's time in the ratio of their weights.
//
// They contend if at least two of them have a ready queue of the priority whose
// turn it is. While they do, each is owed its part of the time that passes, and
// has the turn charged that it has. The next turn is that of the one that is
// owed most. So a turn begins with what another has in flight, and ends with
// about as much of its own: the same for all, as the limit applies to them.
//
// It is charged by the time that it lasts, as a slice of a floor is: see there.
// Queues without a weight take no part, and launch in all turns.
//
// Where models of other processes contend, too, processes take turns by the
// clock, each by the weights of its models that contend: see ClockTurns. In its
// turns, a process has those of its models. Nobody waits for another's word, and
// who sees a change late only has a turn too many or too few.
class WeightPolicy final : public PolicyOnTop {
 public:
  WeightPolicy(std::unique_ptr<Policy> inner, int64_t slice_ns)
      : PolicyOnTop(std::move(inner)), slice_ns_(slice_ns)
  {
  }

  void Added(const Standing& queue) override
  {
    Account();
    PolicyOnTop::Added(queue);
    accounts_.Put(queue);
  }

  void Removed(const Standing& queue) override
  {
    Account();
    PolicyOnTop::Removed(queue);
    Take(queue);
  }

  void Changed(const Standing& before, const Standing& after) override
  {
    Account();
    PolicyOnTop::Changed(before, after);
    // In this order: an account is kept while it has a queue.
    accounts_.Put(after);
    Take(before);
  }

  void Used(const Standing& queue, int64_t device_ns) override
  {
    PolicyOnTop::Used(queue, device_ns);
    Account();
    ShareAccount* const account = accounts_.Find(queue.share);
    // Of one that is idle, it is the time that it was ready.
    if (turn_ != nullptr && queue.ready && account != nullptr &&
        Contends(*account)) {
      account->owed_ns -= account->TakeUnpaid(device_ns);
      Limit(account);
    }
  }

  Decision Decide() override
  {
    Decision decision = PolicyOnTop::Decide();
    if (accounts_.IsEmpty()) {
      changes_ns_ = INT64_MAX;
      return decision;
    }
    Account();
    // In a slice, and while another process is above, it is nobody's turn.
    level_ = decision.slice == nullptr && decision.open_from >= elsewhere_.ready
                 ? decision.open_from
                 : PRIORITY_NO_EXECUTE;
    const ShareAccount* next = nullptr;
    int contending = 0;
    for (const ShareAccount& account : accounts_) {
      if (Contends(account)) {
        ++contending;
        decision.weights += account.part;
        next = next == nullptr || account.owed_ns > next->owed_ns ? &account
                                                                  : next;
      }
    }
    const bool here = IsTurnHere(decision.weights);
    if (changes_ns_ != INT64_MAX || contending > 1) {
      // Those whose turn it is will have to stop.
      decision.bounded_below =
          std::max(decision.bounded_below, decision.open_from + 1);
    }
    if (!here || contending < 2) {
      turn_ = nullptr;
      decision.turn = here ? nullptr : this;
      return decision;
    }
    if (turn_ == nullptr || held_ns_ >= slice_ns_ ||
        !Contends(*accounts_.Find(turn_))) {
      turn_ = next->share;
      held_ns_ = 0;
    }
    decision.turn = turn_;
    return decision;
  }

  int64_t ChangesAtNs() const override
  {
    const int64_t ends_ns =
        turn_ == nullptr
            ? INT64_MAX
            : accounted_ns_ + std::max<int64_t>(slice_ns_ - held_ns_, 0);
    return std::min({PolicyOnTop::ChangesAtNs(), ends_ns, changes_ns_});
  }

  void SetElsewhere(const Elsewhere& elsewhere) override
  {
    PolicyOnTop::SetElsewhere(elsewhere);
    elsewhere_ = elsewhere;
  }

 private:
  bool Contends(const ShareAccount& account) const
  {
    return account.part != 0 && level_ != PRIORITY_NO_EXECUTE &&
           account.ready.At(level_) != 0;
  }

  // Whether this process has the turn, with such weights. Notes when that may
  // change.
  bool IsTurnHere(int weights)
  {
    turns_.Clear();
    changes_ns_ = INT64_MAX;
    if (weights == 0) {
      return true;
    }
    turns_.Add(elsewhere_.own, weights);
    for (const Elsewhere::Rival& rival : elsewhere_.rivals) {
      if (rival.ready == level_) {
        turns_.Add(rival.who, rival.weight);
      }
    }
    if (turns_.IsTrivial()) {
      return true;
    }
    int64_t turn = NowNs() / slice_ns_;
    const int64_t last = turn + kTurnsAhead;
    const bool here = turns_.At(turn) == elsewhere_.own;
    do {
      ++turn;
    } while (turn < last && (turns_.At(turn) == elsewhere_.own) == here);
    changes_ns_ = turn * slice_ns_;
    return here;
  }

  void Take(const Standing& queue)
  {
    if (accounts_.Take(queue) && turn_ == queue.share) {
      turn_ = nullptr;
    }
  }

  void Limit(ShareAccount* account) const
  {
    account->owed_ns = std::min(
        std::max(account->owed_ns, -kMostWeightDebtNs), kMostWeightDebtNs);
  }

  // The time since the last change, in which all was as it is.
  void Account()
  {
    if (accounts_.IsEmpty()) {
      return;
    }
    const int64_t now_ns = NowNs();
    const int64_t passed_ns = now_ns - std::exchange(accounted_ns_, now_ns);
    if (turn_ == nullptr) {
      return;
    }
    int64_t whole = 0;
    for (const ShareAccount& account : accounts_) {
      whole += Contends(account) ? account.part : 0;
    }
    for (ShareAccount& account : accounts_) {
      if (Contends(account)) {
        account.Pass(passed_ns, whole);
      }
      if (account.share == turn_) {
        account.Have(passed_ns, slice_ns_);
      }
      Limit(&account);
    }
    held_ns_ += passed_ns;
  }

  const int64_t slice_ns_;
  ShareAccounts accounts_{&Standing::weight};
  int64_t accounted_ns_ = 0;
  // The priority whose turn it is; PRIORITY_NO_EXECUTE: none of this device's.
  int level_ = PRIORITY_NO_EXECUTE;
  // Whose turn it is, and for how long it has been.
  const void* turn_ = nullptr;
  int64_t held_ns_ = 0;
  Elsewhere elsewhere_;
  // Of the last decision: those that take turns by the clock, and when it may be
  // another's turn; INT64_MAX: nobody else is there.
  ClockTurns turns_;
  int64_t changes_ns_ = INT64_MAX;
};

}  // namespace

std::unique_ptr<Policy>
WithWeights(std::unique_ptr<Policy> inner, int64_t slice_ns)
{
  return std::make_unique<WeightPolicy>(std::move(inner), slice_ns);
}

}  // namespace xsched
