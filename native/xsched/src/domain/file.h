// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What those who take part in a domain and those who look at it have to agree on
// about its file and its folder.

#ifndef XSCHED_DOMAIN_FILE_H_
#define XSCHED_DOMAIN_FILE_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>

#include "domain/layout.h"

namespace xsched { namespace domain {

// The byte that a process locks while it has a slot. 'type' is F_WRLCK or
// F_UNLCK.
inline struct flock
SlotByte(int slot, short type)
{
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(
      offsetof(Layout, slots) + static_cast<size_t>(slot) * sizeof(Slot));
  lock.l_len = 1;
  return lock;
}

// Whether only this user can write there.
inline bool
IsPrivate(const struct stat& status)
{
  return status.st_uid == geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_FILE_H_
