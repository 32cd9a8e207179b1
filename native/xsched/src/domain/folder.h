// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_DOMAIN_FOLDER_H_
#define XSCHED_DOMAIN_FOLDER_H_

#include <string>

namespace xsched { namespace domain {

// Where the domain's files are: 'given' (XSCHED_DOMAIN_DIR), or
// /dev/shm/xsched-<uid>: the same for every process of a user, and in memory.
std::string Folder(const std::string& given);

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_FOLDER_H_
