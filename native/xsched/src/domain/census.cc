// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "domain/census.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "control/file_descriptor.h"
#include "domain/file.h"
#include "domain/layout.h"

namespace xsched { namespace domain {
namespace {

// A file is read, not mapped: nothing that others do to it raises a signal. So
// the words of a slot may be of two moments that lie next to each other.
Census
Look(int folder, const std::string& name)
{
  Census census;
  census.device = name;
  const FileDescriptor file(
      openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const auto shared = std::make_unique<Layout>();
  if (!file.IsOpen()) {
    census.problem = strerror(errno);
    return census;
  }
  if (pread(file.Get(), static_cast<void*>(shared.get()), sizeof(Layout), 0) !=
          static_cast<ssize_t>(sizeof(Layout)) ||
      shared->header.magic != kMagic) {
    census.problem = "it is no file of a domain";
    return census;
  }
  if (shared->header.version != kLayoutVersion) {
    census.problem = "it has version " +
                     std::to_string(shared->header.version) +
                     " of the layout, not " + std::to_string(kLayoutVersion);
    return census;
  }
  const int slice = Claim(shared->top.load(std::memory_order_relaxed)).Slice();
  for (int number = 0; number < kSlots; ++number) {
    struct flock lock = SlotByte(number, F_WRLCK);
    if (fcntl(file.Get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
      continue;
    }
    // Relaxed, throughout: it is a copy.
    const Slot& slot = shared->slots[number];
    const Claim claim(slot.claim.load(std::memory_order_relaxed));
    const uint32_t waits = std::min<uint32_t>(
        slot.waits.load(std::memory_order_relaxed),
        PRIORITY_MAX - PRIORITY_NO_EXECUTE);
    const int64_t own = slot.pid.load(std::memory_order_relaxed);
    census.participants.push_back(
        {lock.l_pid > 0 ? lock.l_pid : static_cast<pid_t>(own), claim.Ready(),
         PRIORITY_NO_EXECUTE + static_cast<int>(waits), number + 1 == slice,
         WeightOf(slot), IdentityOf(slot, number),
         slot.since_ns.load(std::memory_order_relaxed),
         slot.used_ns.load(std::memory_order_relaxed)});
  }
  return census;
}

}  // namespace

std::vector<Census>
TakeCensus(const std::string& path, std::string* error)
{
  std::vector<Census> found;
  const FileDescriptor folder(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!folder.IsOpen() || fstat(folder.Get(), &status) != 0) {
    if (errno != ENOENT) {
      *error = path + ": " + strerror(errno);
    }
    return found;
  }
  if (!IsPrivate(status)) {
    *error = path + " is not a folder that only this user can write to";
    return found;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(
      opendir(path.c_str()), closedir);
  while (const struct dirent* entry =
             entries == nullptr ? nullptr : readdir(entries.get())) {
    if (strncmp(entry->d_name, "gpu-", 4) == 0) {
      found.push_back(Look(folder.Get(), entry->d_name));
    }
  }
  std::sort(found.begin(), found.end(), [](const Census& a, const Census& b) {
    return a.device < b.device;
  });
  return found;
}

std::vector<size_t>
BlockersOf(const Census& census, size_t participant)
{
  std::vector<size_t> blockers;
  const std::vector<Participant>& all = census.participants;
  const Participant& self = all[participant];
  // In its own, it waits with a queue that has none.
  if (self.waits == PRIORITY_NO_EXECUTE || self.has_slice) {
    return blockers;
  }
  const auto holder = std::find_if(
      all.begin(), all.end(),
      [](const Participant& each) { return each.has_slice; });
  if (holder != all.end()) {
    return {static_cast<size_t>(holder - all.begin())};
  }
  std::vector<size_t> turns;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].ready > self.waits) {
      if (i != participant) {
        blockers.push_back(i);
      }
    } else if (
        all[i].ready == self.waits && all[i].weight != 0 && self.weight != 0 &&
        all[i].identity != self.identity) {
      turns.push_back(i);
    }
  }
  return blockers.empty() && self.ready == self.waits ? turns : blockers;
}

}}  // namespace xsched::domain
