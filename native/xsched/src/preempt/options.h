// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_OPTIONS_H_
#define XSCHED_PREEMPT_OPTIONS_H_

#include <cstdint>
#include <string>

#include "preempt/export.h"
#include "xsched/types.h"

namespace xsched {

// The most that XSCHED_RUN_AHEAD may say.
constexpr int kMaxRunAhead = 65536;

// What the environment says, read once. A value that cannot be used is
// reported in the log and replaced by the default.
struct Options {
  // XSCHED_SCHEDULER: APP leaves scheduling to the application; with GLB the
  // processes of a scheduling domain count, too.
  XSchedulerType scheduler = kSchedulerLocal;
  // XSCHED_POLICY
  XPolicyType policy = kPolicyHighestPriorityFirst;
  // XSCHED_AUTO_XQUEUE: every stream becomes an XQueue.
  bool auto_xqueue = false;
  // XSCHED_AUTO_XQUEUE_PRIORITY; without it, after the stream's priority.
  bool has_auto_priority = false;
  Priority auto_priority = PRIORITY_DEFAULT;
  // XSCHED_AUTO_XQUEUE_NAME: that of all queues, which then have one priority.
  std::string auto_name;
  // XSCHED_AUTO_XQUEUE_FLOOR: of that name, in percent; 0: none.
  int auto_floor = 0;
  // XSCHED_AUTO_XQUEUE_WEIGHT: of that name; 0: none.
  int auto_weight = 0;
  // XSCHED_AUTO_XQUEUE_THRESHOLD, _BATCH_SIZE; 0: no cap.
  int64_t auto_threshold = 0;
  int64_t auto_batch_size = 0;
  // XSCHED_INFLIGHT_US, in nanoseconds: the GPU time that a queue which can
  // be preempted may have in flight.
  int64_t inflight_ns = 150000;
  // XSCHED_RUN_AHEAD: how many calls of a queue that has to wait may be kept for
  // later (CommandBuffer); 0: its threads wait.
  int64_t run_ahead = 0;
  // XSCHED_SLICE_US, in nanoseconds: how long a queue that has a floor has the
  // device at a time, while higher ones have work, and one that has a weight its
  // turn.
  int64_t slice_ns = 2000000;
  // XSCHED_CONTROL=OFF: no control socket.
  bool control = true;
  // XSCHED_CONTROL_DIR: where the socket is; empty: see ControlDirectories.
  std::string control_directory;
  // XSCHED_GANG: what the processes have in common that work on one model
  // together, each on a GPU of its own; empty: it works alone. With GLB.
  std::string gang;
  // XSCHED_DOMAIN_DIR: where the domain's files are; empty: see domain::Folder.
  std::string domain_directory;
  // XSCHED_METRICS_FILE: no metrics are written if it is empty.
  std::string metrics_file;
  // XSCHED_METRICS_INTERVAL_MS, in nanoseconds.
  int64_t metrics_interval_ns = INT64_C(5000000000);
};

XSCHED_INTERNAL const Options& GetOptions();

}  // namespace xsched

#endif  // XSCHED_PREEMPT_OPTIONS_H_
