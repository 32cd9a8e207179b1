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

// In slices: the most that is owed for pauses, and the longest pause.
constexpr int64_t kMostPauseDebtSlices = 2;
constexpr int64_t kLongestPauseSlices = 2;

// How many turns are looked at for the next change.
constexpr int64_t kTurnsAhead = 64;

// Weights on top of another policy: of the queues whose turn it is by that one,
// models that have weights take turns of one slice, and so get parts of the
// device's time in the ratio of their weights.
//
// They contend if at least two of them have a ready queue of the priority whose
// turn it is. While they do, each is owed its part of the time that passes, and
// has the turn charged that it has. The next turn is that of the one that is
// owed most.
//
// It is charged by the time that it lasts, as a slice of a floor is: see there.
// What another had in flight when it began is charged to that one, if it was not
// already, and given back to whose turn it is. Queues without a weight take no
// part, and launch in all turns.
//
// Clients that wait for an answer before they send the next request leave their
// model without work between the two. In such a pause, others have the device,
// but the model is still owed its part, at their expense, up to two slices: or
// one with a large weight, whose turns are long, would lose what its pauses take.
// A model that pauses often for lack of requests has little of that: it cannot
// save up.
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
    if (holder_ != nullptr && queue.ready && account != nullptr &&
        Contends(*account)) {
      const int64_t unpaid_ns = account->TakeUnpaid(device_ns);
      account->owed_ns -= unpaid_ns;
      Limit(account);
      // Some of it may have become known only when its next turn began.
      if (ShareAccount* const successor = accounts_.Find(account->successor)) {
        successor->GiveBack(unpaid_ns);
        Limit(successor);
      }
    }
  }

  Decision Decide() override
  {
    Decision decision = PolicyOnTop::Decide();
    if (accounts_.IsEmpty()) {
      changes_ns_ = INT64_MAX;
      pause_ends_ns_ = INT64_MAX;
      return decision;
    }
    Account();
    // In a slice, and while another process is above, it is nobody's turn.
    level_ = decision.slice == nullptr && decision.open_from >= elsewhere_.ready
                 ? decision.open_from
                 : PRIORITY_NO_EXECUTE;
    const ShareAccount* next = nullptr;
    int contending = 0;
    int64_t least_owed_ns = INT64_MAX;
    pause_ends_ns_ = INT64_MAX;
    for (const ShareAccount& account : accounts_) {
      if (Contends(account)) {
        ++contending;
        decision.weights += account.part;
        next = next == nullptr || account.owed_ns > next->owed_ns ? &account
                                                                  : next;
      } else if (PauseLeftNs(account) > 0) {
        pause_ends_ns_ =
            std::min(pause_ends_ns_, accounted_ns_ + PauseLeftNs(account));
        least_owed_ns = std::min(least_owed_ns, account.owed_ns);
      }
    }
    const bool here = IsTurnHere(decision.weights);
    const bool shared = contending > 1 || pause_ends_ns_ != INT64_MAX;
    if (contending > 0 && (shared || changes_ns_ != INT64_MAX)) {
      // Those whose turn it is will have to stop.
      decision.bounded_below =
          std::max(decision.bounded_below, decision.open_from + 1);
    }
    if (!here || contending == 0 || !shared) {
      Hold(nullptr);
      decision.turn = here ? nullptr : this;
      return decision;
    }
    if (holder_ == nullptr || held_ns_ >= slice_ns_ ||
        (contending > 1 && !has_turn_) || !Contends(*accounts_.Find(holder_))) {
      Hold(next->share);
    }
    // While all others pause, it needs no turn, unless one of them is owed less,
    // and so has to wait when it has work again.
    has_turn_ =
        contending > 1 || least_owed_ns < accounts_.Find(holder_)->owed_ns;
    decision.turn = has_turn_ ? holder_ : nullptr;
    return decision;
  }

  int64_t ChangesAtNs() const override
  {
    const int64_t ends_ns =
        holder_ == nullptr || !has_turn_
            ? INT64_MAX
            : accounted_ns_ + std::max<int64_t>(slice_ns_ - held_ns_, 0);
    return std::min(
        {PolicyOnTop::ChangesAtNs(), ends_ns, changes_ns_, pause_ends_ns_});
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

  // How much longer one without work takes part, as it is likely to have some
  // again.
  int64_t PauseLeftNs(const ShareAccount& account) const
  {
    return account.part == 0 || account.level != level_
               ? 0
               : account.contended_ns + kLongestPauseSlices * slice_ns_ -
                     accounted_ns_;
  }

  void Hold(const void* share)
  {
    ShareAccount* const former = accounts_.Find(holder_);
    if (former != nullptr && share != nullptr && share != holder_) {
      former->successor = share;
    }
    holder_ = share;
    held_ns_ = 0;
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
    if (accounts_.Take(queue) && holder_ == queue.share) {
      holder_ = nullptr;
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
    const int64_t before_ns = accounted_ns_;
    int64_t rest_ns = now_ns - before_ns;
    if (holder_ != nullptr) {
      rest_ns -= PayPauses(rest_ns);
    }
    accounted_ns_ = now_ns;
    int64_t whole = 0;
    for (const ShareAccount& account : accounts_) {
      whole += Contends(account) ? account.part : 0;
    }
    for (ShareAccount& account : accounts_) {
      if (Contends(account)) {
        account.contended_ns = now_ns;
        account.level = level_;
        if (holder_ != nullptr) {
          account.Pass(rest_ns, whole);
        }
      }
      if (account.share == holder_) {
        account.Have(now_ns - before_ns, slice_ns_);
      }
      Limit(&account);
    }
    held_ns_ += now_ns - before_ns;
  }

  // What those without work are owed of the time that has passed, together. They
  // return what is more than they may save up.
  int64_t PayPauses(int64_t passed_ns)
  {
    int64_t whole = 0;
    for (const ShareAccount& account : accounts_) {
      whole += Contends(account) || PauseLeftNs(account) > 0 ? account.part : 0;
    }
    if (whole == 0) {
      return 0;
    }
    const int64_t most_ns = kMostPauseDebtSlices * slice_ns_;
    int64_t paid_ns = 0;
    for (ShareAccount& account : accounts_) {
      if (account.level == level_ && !Contends(account)) {
        const int64_t pause_ns =
            std::max<int64_t>(std::min(passed_ns, PauseLeftNs(account)), 0);
        const int64_t pay_ns = std::min(
            pause_ns * account.part / whole, most_ns - account.owed_ns);
        account.owed_ns += pay_ns;
        paid_ns += pay_ns;
      }
    }
    return paid_ns;
  }

  const int64_t slice_ns_;
  ShareAccounts accounts_{&Standing::weight};
  int64_t accounted_ns_ = 0;
  // The priority whose turn it is; PRIORITY_NO_EXECUTE: none of this device's.
  int level_ = PRIORITY_NO_EXECUTE;
  // Who has the device, and for how long: in a turn, or, while all others pause,
  // perhaps without one. Null: it is shared as it comes.
  const void* holder_ = nullptr;
  bool has_turn_ = false;
  int64_t held_ns_ = 0;
  // When the first of those that pause takes part no longer; INT64_MAX: nobody
  // pauses.
  int64_t pause_ends_ns_ = INT64_MAX;
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
