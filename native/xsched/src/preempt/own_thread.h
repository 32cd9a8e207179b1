// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_OWN_THREAD_H_
#define XSCHED_PREEMPT_OWN_THREAD_H_

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

namespace xsched {

// Starts a thread of the core's own, which calls kRun, a method of the object;
// false if there is none. Its name has at most 15 characters. It handles no signals: they
// are for the application's threads. But one that blocks SIGBUS dies of it: see
// domain/region.cc.
template <auto kRun, typename T>
bool
StartOwnThread(const char* name, T* object, pthread_t* thread)
{
  // The thread inherits the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigdelset(&all, SIGBUS);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int result = pthread_create(
      thread, nullptr,
      [](void* self) -> void* {
        (static_cast<T*>(self)->*kRun)();
        return nullptr;
      },
      object);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (result != 0) {
    return false;
  }
  pthread_setname_np(*thread, name);
  return true;
}

// A new thread runs where its creator may run, and that is whichever thread
// launched first: one that is pinned to a processor would be interrupted there.
// The calling thread may run wherever the main thread may.
inline void
RunWhereTheProcessMay()
{
  cpu_set_t processors;
  if (sched_getaffinity(getpid(), sizeof(processors), &processors) == 0) {
    sched_setaffinity(0, sizeof(processors), &processors);
  }
}

}  // namespace xsched

#endif  // XSCHED_PREEMPT_OWN_THREAD_H_
