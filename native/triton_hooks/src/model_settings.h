// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_MODEL_SETTINGS_H_
#define XSCHED_TRITON_HOOKS_MODEL_SETTINGS_H_

#include <cstdint>
#include <string>

#include "xsched/types.h"

namespace triton_hooks {

struct ConfigProblem {
  std::string text;  // empty if there is none
  // Whoever wrote the configuration can mend it. Otherwise Triton's answer is
  // not understood.
  bool is_the_users = false;
};

// How a model is to be scheduled.
struct ModelSettings {
  Priority priority = PRIORITY_DEFAULT;
  // The percentage of a device's time that it gets at least while it has work.
  int32_t floor = 0;
  // What that time is shared by among models of its priority; 0: none.
  int32_t weight = 0;
};

// What a model's configuration, which Triton gives as JSON, asks for: its
// parameters xsched_priority, else optimization.priority, xsched_floor and
// xsched_weight. On a problem, 'settings' is unchanged.
ConfigProblem ReadSettings(const std::string& config, ModelSettings* settings);

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_MODEL_SETTINGS_H_
