// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_METRICS_H_
#define XSCHED_CONTROL_METRICS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "control/process_status.h"
#include "preempt/scheduler.h"

namespace xsched {

// The counters in Prometheus text format, version 0.0.4.
std::string RenderMetrics(
    const ProcessStatus& status, const std::vector<QueueReport>& queues,
    const std::vector<DomainReport>& domains = {});

// A file that readers never see half-written.
class MetricsFile {
 public:
  // Replaces "%p" in 'path' by the pid.
  MetricsFile(const std::string& path, pid_t pid);

  const std::string& Path() const { return path_; }
  // Replaces the file's content. Logs a failure once, and again only after a
  // success in between.
  void Write(const std::string& text);
  // Removes the file if Write has created it.
  void Remove() const;

 private:
  bool TryWrite(const std::string& text) const;

  const std::string path_;
  const std::string temporary_;
  bool written_ = false;
  bool failing_ = false;
};

}  // namespace xsched

#endif  // XSCHED_CONTROL_METRICS_H_
