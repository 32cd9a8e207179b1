// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_FLOOR_H_
#define XSCHED_CTL_FLOOR_H_

#include <cstdlib>
#include <string>

namespace xsched {

// A model's floor on a device, as a process tells it: numbers in percent of the
// device's time. A core of an earlier release has none.
struct Floor {
  std::string percent;
  // What the model had in the last two seconds.
  std::string used;

  bool Exists() const { return atoi(percent.c_str()) != 0; }
  // Nine tenths of it are not reached. Whoever does not wait wanted no more.
  bool IsMissed(const std::string& state) const
  {
    return Exists() && state == "blocked" &&
           10 * atof(used.c_str()) < 9 * atof(percent.c_str());
  }
  std::string Shown() const
  {
    return Exists() ? used + " of " + percent + " %" : "-";
  }
};

}  // namespace xsched

#endif  // XSCHED_CTL_FLOOR_H_
