// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
#ifndef XSCHED_XSCHED_H_
#define XSCHED_XSCHED_H_

#include "xsched/hint.h"
#include "xsched/types.h"
#include "xsched/xqueue.h"

#endif  // XSCHED_XSCHED_H_
