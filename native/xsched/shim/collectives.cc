// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/collectives.h"

#include <array>
#include <atomic>
#include <cctype>
#include <string>

#include "cuda/functions.h"
#include "preempt/hash.h"
#include "preempt/log.h"
#include "preempt/scheduler.h"

namespace xsched {
namespace {

// Parts of names, in small letters and without underscores.
constexpr const char* kNames[] = {
    "nccl",     "allreduce", "allgather",         "reducescatter",
    "alltoall", "nvshmem",   "crossdevicereduce",
};

std::atomic<bool> any{false};
// Grows whenever a handle may be that of another function.
std::atomic<uint64_t> names_version{1};

std::string
KernelName(uint64_t function)
{
  const char* name = nullptr;
  // Launches take a CUkernel as well, which only the second one knows.
  if (real::cuFuncGetName(&name, reinterpret_cast<CUfunction>(function)) !=
          kCudaSuccess &&
      real::cuKernelGetName(&name, reinterpret_cast<CUkernel>(function)) !=
          kCudaSuccess) {
    return "";
  }
  std::string text;
  for (const char* each = name; each != nullptr && *each != '\0'; ++each) {
    if (*each != '_') {
      text += static_cast<char>(tolower(static_cast<unsigned char>(*each)));
    }
  }
  return text;
}

bool
IsCollective(uint64_t function)
{
  const std::string name = KernelName(function);
  for (const char* part : kNames) {
    if (name.find(part) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool
Collectives::Include(const LaunchKey& key, const Queue& queue)
{
  if (key.kind != LaunchKey::kKernel) {
    return key.kind == LaunchKey::kGraph && any.load(std::memory_order_relaxed);
  }
  struct Known {
    uint64_t function = 0;
    uint64_t version = 0;
    bool collective = false;
  };
  thread_local std::array<Known, 256> known;
  const uint64_t version = names_version.load(std::memory_order_acquire);
  Known& entry = known[Mix(key.function) % known.size()];
  if (entry.function != key.function || entry.version != version) {
    entry = {key.function, version, IsCollective(key.function)};
  }
  if (entry.collective && !any.load(std::memory_order_relaxed) &&
      !any.exchange(true, std::memory_order_relaxed)) {
    Log(LogLevel::kInfo,
        "works in a gang: what one of its processes has begun, the others may "
        "finish; its first collective is %s",
        KernelName(key.function).c_str());
    Scheduler::Get().JoinGang(queue.Home()->GetDevice());
  }
  return entry.collective;
}

void
Collectives::ForgetNames()
{
  names_version.fetch_add(1, std::memory_order_release);
}

}  // namespace xsched
