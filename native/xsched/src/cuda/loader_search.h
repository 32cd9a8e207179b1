// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CUDA_LOADER_SEARCH_H_
#define XSCHED_CUDA_LOADER_SEARCH_H_

#include <string>
#include <vector>

namespace xsched {

// The loader's cache of the libraries in the folders that the system is
// configured with, ld.so.conf(5).
constexpr const char* kLoaderCache = "/etc/ld.so.cache";

// The files that the dynamic loader would try for a library which this
// program opens by its name, in the loader's order, ld.so(8): the program's
// RPATH, LD_LIBRARY_PATH as it was when the process began, the program's
// RUNPATH, the cache, the system's folders. Most of them do not exist.
std::vector<std::string> LoaderSearch(
    const std::string& name, const char* cache = kLoaderCache);

// The path that a loader's cache has for a library of this architecture;
// empty if it has none, or is no cache.
std::string FindInLoaderCache(
    const std::string& name, const char* cache = kLoaderCache);

}  // namespace xsched

#endif  // XSCHED_CUDA_LOADER_SEARCH_H_
