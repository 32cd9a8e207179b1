// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_EXPORT_H_
#define XSCHED_PREEMPT_EXPORT_H_

// Everything is hidden unless marked: the public C interface, and what the
// libraries of this package use of each other.
#define XSCHED_EXPORT extern "C" __attribute__((visibility("default")))
#define XSCHED_INTERNAL __attribute__((visibility("default")))

#endif  // XSCHED_PREEMPT_EXPORT_H_
