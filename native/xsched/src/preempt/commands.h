// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_COMMANDS_H_
#define XSCHED_PREEMPT_COMMANDS_H_

#include <mutex>
#include <unordered_map>

#include "xsched/types.h"

namespace xsched {

// Callback commands: functions of the application that launch work into a
// hardware queue. A command is called on the thread that submits it, and what
// it launches passes the gate as any launch does.
class Commands {
 public:
  static Commands& Get();

  XResult Create(LaunchCallback launch, void* data, HwCommandHandle* handle);
  XResult Destroy(HwCommandHandle handle);
  bool Exists(HwCommandHandle handle);
  // Calls the command, which may create and destroy commands itself.
  XResult Call(HwCommandHandle handle, HwQueueHandle hwq);

 private:
  struct Callback {
    LaunchCallback launch;
    void* data;
  };

  std::mutex mutex_;
  std::unordered_map<HwCommandHandle, Callback> callbacks_;
  HwCommandHandle last_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_COMMANDS_H_
