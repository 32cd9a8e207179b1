// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Where the build has put what tests start and load: absolute paths. The build
// writes the definitions (built_files.cmake).

#ifndef XSCHED_TESTS_BUILT_FILES_H_
#define XSCHED_TESTS_BUILT_FILES_H_

#include <string>

// The core, and its folder as libcuda.so.1.
extern const char* const kShim;
extern const char* const kShimFolder;
extern const char* const kXschedCtl;
// The simulated driver under its own name, and under that of the real one.
extern const char* const kSimulatedDriver;
extern const char* const kInstalledDriver;
// A library that is no driver.
extern const char* const kOtherLibrary;

// Programs of the core's tests, and the list of the driver's functions.
extern const char* const kCompetitor;
extern const char* const kContender;
extern const char* const kDriverProbe;
extern const char* const kScheduledProcess;
extern const char* const kSymbols;

// The hooks and the backends of their tests.
extern const char* const kAsksForNext;
extern const char* const kDefaultStream;
extern const char* const kHooks;
extern const char* const kOneStream;
extern const char* const kOnlyExecute;
extern const char* const kThreads;

// What the TensorRT backend's tests find in place of the shim.
extern const char* const kOtherLibcuda;
extern const char* const kOtherShim;

// The shell's words that start the probe of the driver.
inline std::string
ProbeCommand()
{
  return std::string(kDriverProbe) + " " + kShim + " " + kSymbols;
}

#endif  // XSCHED_TESTS_BUILT_FILES_H_
