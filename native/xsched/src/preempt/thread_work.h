// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_THREAD_WORK_H_
#define XSCHED_PREEMPT_THREAD_WORK_H_

#include <cstdint>

#include "preempt/queue.h"

namespace xsched {

struct Owner;

// What the calling thread has launched, for which queue it works, and whose
// work it does.

void RememberWork(Queue* queue);
// How many of the queues that keep 'queue' from launching, being ready on the
// same device with a higher priority, are ready with work that the calling
// thread has launched: what it must not wait for.
int CountOwnWorkAbove(const Queue& queue);
// The queue that the thread launched into last, if it still is the same one;
// otherwise null.
Queue* LastQueueOfThread();
// Whose work the thread does: the handle of an owner, which may have ended, or
// 0; and the owner itself, null if it has ended or there is none.
uint64_t OwnerHandleOfThread();
Owner* OwnerOfThread();
void SetOwnerOfThread(uint64_t handle, Owner* owner);
// Differs between all threads that the process ever has. Never 0.
uint64_t ThreadId();

}  // namespace xsched

#endif  // XSCHED_PREEMPT_THREAD_WORK_H_
