// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_SHOW_CHANGES_H_
#define XSCHED_CTL_SHOW_CHANGES_H_

#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "ctl/exit_code.h"
#include "preempt/clock.h"

namespace xsched {

// Takes a sample every 'interval_ns' and prints what 'describe(before, now,
// seconds)' says of each and the one before it. On a terminal, each text
// replaces the one before. Ends with the code of a sample that cannot be taken.
template <typename Sample, typename Take, typename Describe>
ExitCode
ShowChanges(int64_t interval_ns, const Take& take, const Describe& describe)
{
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  Sample before;
  int64_t before_ns = 0;
  for (;;) {
    Sample now;
    const ExitCode code = take(&now);
    if (code != kExitSuccess) {
      return code;
    }
    const int64_t now_ns = NowNs();
    if (before_ns != 0) {
      const std::string text =
          describe(before, now, static_cast<double>(now_ns - before_ns) / 1e9);
      printf(terminal ? "\033[H\033[J%s" : "%s\n", text.c_str());
      fflush(stdout);
    }
    before = std::move(now);
    before_ns = now_ns;
    struct timespec rest = {interval_ns / 1000000000, interval_ns % 1000000000};
    nanosleep(&rest, nullptr);
  }
}

}  // namespace xsched

#endif  // XSCHED_CTL_SHOW_CHANGES_H_
