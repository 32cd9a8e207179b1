// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_KEEP_H_
#define XSCHED_TESTS_KEEP_H_

#include <memory>
#include <utility>
#include <vector>

namespace xsched {

// Never freed, as what the scheduler has: threads remember what they worked for.
template <typename Kept>
Kept*
Keep(std::unique_ptr<Kept> object)
{
  static auto* const all = new std::vector<std::unique_ptr<Kept>>;
  all->push_back(std::move(object));
  return all->back().get();
}

}  // namespace xsched

#endif  // XSCHED_TESTS_KEEP_H_
