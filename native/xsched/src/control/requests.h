// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The protocol of the control socket.
//
// One request a connection: the client sends one line of at most 4096 bytes,
// ended by a line feed, the process answers and closes. What comes after the
// line is ignored. All text; fields are decimal numbers or names.
//
//   answer  = ("ok" LF header LF *(row LF) / "error " message LF) LF
//   header  = column *(TAB column)
//   row     = field *(TAB field)          ; as many as columns
//
// So an answer ends with an empty line; one without it was cut off. Fields
// and messages contain no control characters. A reader finds columns by their
// names: more may be added, and in any place.
//
// Requests:
//
//   status
//     One row: version, pid, driver (its path; empty if none was found),
//     policy, scheduler (LCL, APP), mode (explicit, transparent),
//     in_flight_limit_us, queues (their number), scheduled (yes, no), problem
//     (why not; empty if it is).
//   queues
//     A row for each queue: id, name, device, priority, state (suspended;
//     blocked: a launch waits for other queues; ready: the device has work of
//     it as far as is known; idle), launches, blocked, blocked_ns,
//     preemptions, in_flight_ns. See XQueueStats.
//   priority QUEUE N
//     Sets the priority N (-255 to 255, max, default, min) of one or more
//     queues: QUEUE is an id, or a name, or the part of names before the
//     first slash. It can contain spaces. A row for each changed queue: id,
//     name, previous, priority.
//
// An error has changed nothing.

#ifndef XSCHED_CONTROL_REQUESTS_H_
#define XSCHED_CONTROL_REQUESTS_H_

#include <string>

#include "control/process_status.h"

namespace xsched {

// The answer to a request, which is without its line end. Called by one
// thread at a time; calls no driver, so that a device that hangs can be
// looked at.
std::string AnswerRequest(
    const ShimDescription& shim, const std::string& request);

}  // namespace xsched

#endif  // XSCHED_CONTROL_REQUESTS_H_
