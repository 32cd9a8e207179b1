// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XQueues without the application's doing: in the transparent mode,
// XSCHED_AUTO_XQUEUE, of every stream, and of what the threads with an owner
// work in. Otherwise these do nothing.

#ifndef XSCHED_SHIM_TRANSPARENT_H_
#define XSCHED_SHIM_TRANSPARENT_H_

#include "cuda/abi.h"
#include "preempt/queue.h"

namespace xsched {

// Call this before anything else.
void AdoptProcess();
// Gives a new stream an XQueue, with the owner's name and priority, or with a
// priority derived from the stream's.
void AdoptStream(CUstream stream);
// The XQueue of the default streams of a context, for the calling thread, which
// Scheduler::ThreadHasOwner; made if there is none. Null if it can't be.
Queue* AdoptDefaultStreams(CUcontext context);
// Call this before a stream is destroyed.
void ReleaseStream(CUstream stream);

}  // namespace xsched

#endif  // XSCHED_SHIM_TRANSPARENT_H_
