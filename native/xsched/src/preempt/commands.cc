// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/commands.h"

namespace xsched {

Commands&
Commands::Get()
{
  // Never destroyed: commands may be submitted while the process exits.
  static Commands* commands = new Commands;
  return *commands;
}

XResult
Commands::Create(LaunchCallback launch, void* data, HwCommandHandle* handle)
{
  std::lock_guard<std::mutex> lock(mutex_);
  callbacks_.emplace(last_ + 1, Callback{launch, data});
  *handle = ++last_;
  return kXSchedSuccess;
}

XResult
Commands::Destroy(HwCommandHandle handle)
{
  std::lock_guard<std::mutex> lock(mutex_);
  return callbacks_.erase(handle) == 0 ? kXSchedErrorNotFound : kXSchedSuccess;
}

bool
Commands::Exists(HwCommandHandle handle)
{
  std::lock_guard<std::mutex> lock(mutex_);
  return callbacks_.count(handle) != 0;
}

XResult
Commands::Call(HwCommandHandle handle, HwQueueHandle hwq)
{
  Callback callback;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = callbacks_.find(handle);
    if (found == callbacks_.end()) {
      return kXSchedErrorNotFound;
    }
    callback = found->second;
  }
  return callback.launch(hwq, callback.data);
}

}  // namespace xsched
