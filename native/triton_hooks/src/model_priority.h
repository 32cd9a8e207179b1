// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_MODEL_PRIORITY_H_
#define XSCHED_TRITON_HOOKS_MODEL_PRIORITY_H_

#include <string>

#include "xsched/types.h"

namespace triton_hooks {

struct ConfigProblem {
  std::string text;  // empty if there is none
  // Whoever wrote the configuration can mend it. Otherwise Triton's answer is
  // not understood.
  bool is_the_users = false;
};

// The priority that a model's configuration, which Triton gives as JSON, asks
// for: its parameter xsched_priority, else optimization.priority. On a problem,
// 'priority' is unchanged.
ConfigProblem ReadPriority(const std::string& config, Priority* priority);

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_MODEL_PRIORITY_H_
