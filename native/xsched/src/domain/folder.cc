// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "domain/folder.h"

#include <unistd.h>

namespace xsched { namespace domain {

std::string
Folder(const std::string& given)
{
  return given.empty() ? "/dev/shm/xsched-" + std::to_string(geteuid()) : given;
}

}}  // namespace xsched::domain
