// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The protocol of the control socket.
//
// One request per connection: the client sends one line of at most 4096 bytes
// and a line feed, the process answers and closes. Anything after the line is
// ignored. Everything is text; fields are decimal numbers or names.
//
//   answer  = ("ok" LF header LF *(row LF) / "error " message LF) LF
//   header  = column *(TAB column)
//   row     = field *(TAB field)          ; as many as columns
//
// So an answer ends with an empty line; without it, it was cut off. Fields and
// messages contain no control characters. Readers find columns by name: new
// columns may appear anywhere.
//
// Requests:
//
//   status
//     One row: version, pid, driver (its path; empty if none was found),
//     policy, scheduler (LCL, APP), mode (explicit, transparent, hooked),
//     in_flight_limit_us, queues (their number), scheduled (yes, no), problem
//     (the reason for a no; otherwise empty).
//   queues
//     One row per queue: id, name, device, priority, state (suspended;
//     blocked: a launch waits for other queues; ready: as far as is known, the
//     device still has work of it; idle), launches, blocked, blocked_ns,
//     preemptions, in_flight_ns (see XQueueStats), floor and weight, which a
//     model's queues share, used (percent of the device's time that those had in
//     the last two seconds; empty without a floor). Of running ahead: kept (calls
//     that were), kept_pending (those that have not been made yet), kept_max (the
//     most at a time), kept_failed, no_room (calls that found none, and waited for
//     no_room_ns), awaited (times that others waited for what was kept, in all
//     for awaited_ns).
//   priority QUEUE N
//     Sets the priority N (-255 to 255, max, default, min) of one or more
//     queues. QUEUE is an id, a name, or the part of names before the first
//     slash; it can contain spaces. One row per changed queue: id, name,
//     previous, priority.
//   floor QUEUE PERCENT, weight QUEUE N
//     The same for a floor (0 to 50) or a weight (0 to 100), of all queues of the
//     model.
//
// A request that returns an error has changed nothing.

#ifndef XSCHED_CONTROL_REQUESTS_H_
#define XSCHED_CONTROL_REQUESTS_H_

#include <string>

#include "control/process_status.h"

namespace xsched {

// The answer to a request without its line feed. Only one thread may call this
// at a time. It never calls the driver, so it works even if a device hangs.
std::string AnswerRequest(
    const ShimDescription& shim, const std::string& request);

}  // namespace xsched

#endif  // XSCHED_CONTROL_REQUESTS_H_
