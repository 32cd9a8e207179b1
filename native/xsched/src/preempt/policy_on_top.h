// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_POLICY_ON_TOP_H_
#define XSCHED_PREEMPT_POLICY_ON_TOP_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "preempt/policy.h"

namespace xsched {

// A policy on top of another one: by itself it changes nothing, and whatever it
// is told or asked goes on to that one.
class PolicyOnTop : public Policy {
 public:
  explicit PolicyOnTop(std::unique_ptr<Policy> inner) : inner_(std::move(inner))
  {
  }

  const char* Name() const override { return inner_->Name(); }
  void Added(const Standing& queue) override { inner_->Added(queue); }
  void Removed(const Standing& queue) override { inner_->Removed(queue); }
  void Changed(const Standing& before, const Standing& after) override
  {
    inner_->Changed(before, after);
  }
  void Used(const Standing& queue, int64_t device_ns) override
  {
    inner_->Used(queue, device_ns);
  }
  Decision Decide() override { return inner_->Decide(); }
  int64_t ChangesAtNs() const override { return inner_->ChangesAtNs(); }
  void SetElsewhere(const Elsewhere& elsewhere) override
  {
    inner_->SetElsewhere(elsewhere);
  }
  void SliceRefused() override { inner_->SliceRefused(); }
  int Blockers(Priority priority) const override
  {
    return inner_->Blockers(priority);
  }

 protected:
  Policy& Inner() const { return *inner_; }

 private:
  const std::unique_ptr<Policy> inner_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_POLICY_ON_TOP_H_
