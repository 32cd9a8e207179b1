// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// driver_probe LIBRARY SYMBOLS: what becomes of a program that takes LIBRARY
// for the driver. If cuInit fails, calls every function that the file SYMBOLS
// names.

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

int
main(int, char** argv)
{
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == nullptr) {
    printf("%s\n", dlerror());
    return 1;
  }
  using Function = int (*)(
      void*, void*, void*, void*, void*, void*, void*, void*, void*, void*,
      void*, void*);
  const auto call = [&](const std::string& name, void* argument) {
    auto* function = reinterpret_cast<Function>(dlsym(library, name.c_str()));
    return function(
        argument, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
        nullptr, nullptr, nullptr, nullptr);
  };
  const int result = call("cuInit", nullptr);
  if (result == 0) {
    int count = 0;
    call("cuDeviceGetCount", &count);
    printf("cuInit 0, devices %d\n", count);
    return 0;
  }
  std::ifstream symbols(argv[2]);
  std::string name;
  int calls = 0;
  while (symbols >> name) {
    ++calls;
    if (call(name, nullptr) == 0) {
      printf("%s succeeded\n", name.c_str());
      return 1;
    }
  }
  printf(
      "cuInit %d, %s\n", result,
      calls > 700 ? "every call failed" : "hardly anything was called");
  return 0;
}
