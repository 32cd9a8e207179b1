// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Measures what the hooks add to the execution of an instance: the function
// that Triton is given against the backend's own, in one thread and in four, by
// one instance a thread and by two in turn. Needs no GPU and no Triton.

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "built_files.h"
#include "stand_in_triton.h"

namespace {

constexpr int kExecutions = 20000;
constexpr int kRepeats = 51;

using stand_in::Backend;
using stand_in::Instance;

double
MedianNs(
    Backend::ExecuteFunction execute,
    const std::vector<TRITONBACKEND_ModelInstance*>& instances)
{
  std::vector<double> times;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kExecutions; ++i) {
      execute(instances[static_cast<size_t>(i) % instances.size()], nullptr, 0);
    }
    const std::chrono::duration<double, std::nano> took =
        std::chrono::steady_clock::now() - begin;
    times.push_back(took.count() / kExecutions);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// The slowest of the threads, each of which has instances of its own.
double
SlowestNs(
    Backend::ExecuteFunction execute, const Backend& backend, int threads,
    int instances)
{
  std::vector<double> times(static_cast<size_t>(threads));
  std::vector<std::vector<std::unique_ptr<Instance>>> all(times.size());
  for (auto& own : all) {
    for (int i = 0; i < instances; ++i) {
      own.push_back(
          std::make_unique<Instance>(backend, "m", stand_in::Config("")));
    }
  }
  std::vector<std::thread> running;
  for (size_t thread = 0; thread < times.size(); ++thread) {
    running.emplace_back([&, thread] {
      std::vector<TRITONBACKEND_ModelInstance*> handles;
      for (const auto& instance : all[thread]) {
        handles.push_back(instance->Handle());
      }
      times[thread] = MedianNs(execute, handles);
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  return *std::max_element(times.begin(), times.end());
}

}  // namespace

int
main()
{
  const Backend backend(kOnlyExecute);
  // What the C library finds, past the hooks.
  const auto find = reinterpret_cast<void* (*)(void*, const char*)>(
      dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  const auto direct = reinterpret_cast<Backend::ExecuteFunction>(
      find(backend.library, "TRITONBACKEND_ModelInstanceExecute"));
  if (direct == nullptr || direct == backend.execute) {
    fprintf(stderr, "execute_overhead: the hooks are not there\n");
    return 1;
  }
  for (const int threads : {1, 4}) {
    for (const int instances : {1, 2}) {
      printf(
          "%d thread%s with %d instance%s: %.1f ns, with the hooks %.1f ns\n",
          threads, threads == 1 ? "" : "s", instances,
          instances == 1 ? "" : "s",
          SlowestNs(direct, backend, threads, instances),
          SlowestNs(backend.execute, backend, threads, instances));
    }
  }
  return 0;
}
