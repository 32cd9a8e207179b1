// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// work.def, streams.def and handles.def list the driver's functions that the
// shim intercepts, one row each:
//   XSCHED_ONE(symbol, since, behaviour, (parameters), (arguments))
//   XSCHED_PTSZ(symbol, since, twin_since, behaviour, ...)
//   XSCHED_PTDS(symbol, since, twin_since, behaviour, ...)
// 'since' is the first CUDA version for which cuGetProcAddress returns this
// symbol for its name, which is the symbol without _v2 and the like. The last
// two also stand for a variant with that suffix, for which the null stream is
// the per-thread default stream. 'behaviour' is what the shim does: an
// expression with 'call', the driver's function (call.h), and the parameters.
//
// A file that includes the tables defines what a row expands to:
//   XSCHED_INTERCEPT(symbol, since, per_thread, behaviour, parameters,
//                    arguments)
// tests/headers compares the rows with the toolkits' headers.

#ifndef XSCHED_SHIM_TABLE_H_
#define XSCHED_SHIM_TABLE_H_

#define XSCHED_ONE(symbol, since, ...) \
  XSCHED_INTERCEPT(symbol, since, false, __VA_ARGS__)
#define XSCHED_PTSZ(symbol, since, twin_since, ...)   \
  XSCHED_INTERCEPT(symbol, since, false, __VA_ARGS__) \
  XSCHED_INTERCEPT(symbol##_ptsz, twin_since, true, __VA_ARGS__)
#define XSCHED_PTDS(symbol, since, twin_since, ...)   \
  XSCHED_INTERCEPT(symbol, since, false, __VA_ARGS__) \
  XSCHED_INTERCEPT(symbol##_ptds, twin_since, true, __VA_ARGS__)

// In a row: an expression that is only evaluated if it is needed.
#define XSCHED_LAZY(...) [&] { return __VA_ARGS__; }

#endif  // XSCHED_SHIM_TABLE_H_
