// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Measures how quiet a machine is: for SECONDS, two threads on their own
// processors do nothing but read the clock, and count how often they were kept
// from it. On a shared machine, this is noise in every latency.
//
//   cpu_gaps [SECONDS]
//
// Prints one line of JSON: the number of gaps over half a millisecond, their
// sum and the longest, in milliseconds.

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr Milliseconds kGap(0.5);

struct Gaps {
  int count = 0;
  Milliseconds all{0};
  Milliseconds longest{0};
};

void
Watch(int cpu, double seconds, Gaps* gaps)
{
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds));
  for (auto last = Clock::now(); last < end;) {
    const auto now = Clock::now();
    const Milliseconds gap = now - last;
    if (gap > kGap) {
      ++gaps->count;
      gaps->all += gap;
      gaps->longest = std::max(gaps->longest, gap);
    }
    last = now;
  }
}

}  // namespace

int
main(int argc, char** argv)
{
  const double seconds = argc > 1 ? std::atof(argv[1]) : 5;
  Gaps first, second;
  std::thread other(Watch, 1, seconds, &first);
  Watch(2, seconds, &second);
  other.join();
  std::printf(
      "{\"seconds\": %.1f, \"gaps\": %d, \"ms\": %.1f, \"longest_ms\": %.1f}\n",
      seconds, first.count + second.count, (first.all + second.all).count(),
      std::max(first.longest, second.longest).count());
}
