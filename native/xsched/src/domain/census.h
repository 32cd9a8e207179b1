// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_DOMAIN_CENSUS_H_
#define XSCHED_DOMAIN_CENSUS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace xsched { namespace domain {

// A process that takes part, as its slot says at this moment.
struct Participant {
  // In the caller's PID namespace, or in the process's own if that is another.
  pid_t pid;
  // The highest priorities that have work, and that a launch waits with;
  // PRIORITY_NO_EXECUTE: none.
  int ready;
  int waits;
  // It has the slice, in which nobody else launches.
  bool has_slice;
  // What it shares the time of its priority by with others of that priority; 0:
  // it takes no turns. Processes of one model are the same to others, and have
  // its turns together.
  int weight;
  uint64_t identity;
  int64_t since_ns;
  int64_t used_ns;
};

// Who takes part on one device.
struct Census {
  std::string device;
  // Empty, or why the file cannot be understood.
  std::string problem;
  std::vector<Participant> participants;
};

// Looks at the files of a domain, for people: takes no part in it, changes
// nothing and waits for nobody. Nothing, with the reason, if the folder cannot
// be trusted; nothing without one, if there is none.
std::vector<Census> TakeCensus(const std::string& folder, std::string* error);

// The processes that a process waits for, by their places in the census: who has
// the slice, or those of higher priority, or, if there are none, those with which
// it takes turns.
std::vector<size_t> BlockersOf(const Census& census, size_t participant);

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_CENSUS_H_
