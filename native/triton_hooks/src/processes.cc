// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Processes that a backend starts for an instance, as Triton's Python backend
// does. What they do is the instance's work: their environment has its name,
// priority, floor and weight, and they inherit the shim with it. So do the processes that
// these start, such as one for each GPU of a model that is spread over several: all of
// them together are the instance's gang.
//
// Between fork and exec only the forking thread is there, and the locks of
// others stay locked. So everything is prepared before.

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "next_symbol.h"
#include "xsched/ext.h"

namespace triton_hooks { namespace {

constexpr const char* kOn = "XSCHED_AUTO_XQUEUE=ON";
constexpr char kName[] = "XSCHED_AUTO_XQUEUE_NAME=";
constexpr char kPriority[] = "XSCHED_AUTO_XQUEUE_PRIORITY=";
constexpr char kFloor[] = "XSCHED_AUTO_XQUEUE_FLOOR=";
constexpr char kWeight[] = "XSCHED_AUTO_XQUEUE_WEIGHT=";
constexpr char kGang[] = "XSCHED_GANG=";
constexpr const char* kReplaced[] = {
    "XSCHED_AUTO_XQUEUE=", kName, kPriority, kFloor, kWeight, kGang};
constexpr size_t kAdded = std::size(kReplaced);
// More than any environment has. A process with more is started as it is.
constexpr size_t kMostVariables = 4096;

// Of the instance for which the thread forks.
struct Variables {
  bool there;
  char name[sizeof(kName) + 64];
  char priority[sizeof(kPriority) + 8];
  char floor[sizeof(kFloor) + 8];
  char weight[sizeof(kWeight) + 8];
  char gang[sizeof(kGang) + 64 + 2 * 17];
};
thread_local Variables variables;
// Whether this is a child that has not become another program.
bool is_child = false;
// When this library was loaded: tells its instances from those of other containers.
uint64_t loaded_ns = 0;

void
BeforeFork()
{
  Variables& own = variables;
  char name[64];
  Priority priority = PRIORITY_DEFAULT;
  int32_t floor = 0;
  int32_t weight = 0;
  const XOwnerHandle owner = XOwnerCurrent();
  own.there = owner != 0 &&
              XOwnerGet(owner, name, &priority) == kXSchedSuccess &&
              XOwnerGetFloor(owner, &floor) == kXSchedSuccess &&
              XOwnerGetWeight(owner, &weight) == kXSchedSuccess;
  if (own.there) {
    snprintf(own.name, sizeof(own.name), "%s%s", kName, name);
    snprintf(own.priority, sizeof(own.priority), "%s%d", kPriority, priority);
    snprintf(own.floor, sizeof(own.floor), "%s%d", kFloor, floor);
    snprintf(own.weight, sizeof(own.weight), "%s%d", kWeight, weight);
    snprintf(
        own.gang, sizeof(own.gang), "%s%s.%" PRIx64 ".%" PRIx64, kGang, name,
        loaded_ns, static_cast<uint64_t>(owner));
    NextExecvp();
  }
}

void
InChild()
{
  is_child = true;
}

__attribute__((constructor)) void
AttendForks()
{
  struct timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  loaded_ns = static_cast<uint64_t>(now.tv_sec) * 1000000000 +
              static_cast<uint64_t>(now.tv_nsec);
  pthread_atfork(BeforeFork, nullptr, InChild);
}

bool
IsReplaced(const char* variable)
{
  for (const char* each : kReplaced) {
    if (strncmp(variable, each, strlen(each)) == 0) {
      return true;
    }
  }
  return false;
}

void
AddVariables()
{
  static char* changed[kMostVariables + 1];
  size_t count = 0;
  for (char** each = environ; *each != nullptr; ++each) {
    if (count + kAdded == kMostVariables) {
      return;
    }
    if (!IsReplaced(*each)) {
      changed[count++] = *each;
    }
  }
  changed[count++] = const_cast<char*>(kOn);
  changed[count++] = variables.name;
  changed[count++] = variables.priority;
  changed[count++] = variables.floor;
  changed[count++] = variables.weight;
  changed[count++] = variables.gang;
  changed[count] = nullptr;
  environ = changed;
}

}}  // namespace triton_hooks

// What Triton's Python backend calls in its child.
extern "C" __attribute__((visibility("default"))) int
execvp(const char* file, char* const arguments[]) noexcept
{
  if (triton_hooks::is_child && triton_hooks::variables.there &&
      environ != nullptr) {
    triton_hooks::AddVariables();
  }
  return triton_hooks::NextExecvp()(file, arguments);
}
