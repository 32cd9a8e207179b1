// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/loader_search.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

namespace xsched {
namespace {

// --- the cache -------------------------------------------------------------

// As glibc has written it since 2.2. Before 2.32 it stood behind the format
// of older versions, aligned to its header.
struct CacheHeader {
  char magic[20];
  uint32_t libraries;
  uint32_t strings_size;
  uint32_t unused[5];
};
struct CacheEntry {
  int32_t flags;
  uint32_t name;  // offsets from the header's beginning
  uint32_t path;
  uint32_t os_version;
  uint64_t hwcap;
};
static_assert(sizeof(CacheHeader) == 48 && sizeof(CacheEntry) == 24);

constexpr char kCacheMagic[] = "glibc-ld.so.cache1.1";
// A library of ELF, for glibc, for x86-64.
constexpr int32_t kCacheFlags = 0x0303;

// The text at an offset; null if it does not end within the cache.
const char*
TextAt(const std::string& cache, uint64_t offset)
{
  return offset < cache.size() &&
                 memchr(&cache[offset], '\0', cache.size() - offset) != nullptr
             ? &cache[offset]
             : nullptr;
}

// --- the folders -----------------------------------------------------------

// The last of the loader's folders: the system's. The cache comes before them,
// but the loader does not tell where.
const std::vector<std::vector<std::string>> kSystemFolders = {
    {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"},
    {"/lib64", "/usr/lib64"},
    {"/usr/lib64"},
    {"/usr/lib"},
};

std::vector<std::string>
LoaderFolders()
{
  std::vector<std::string> folders;
  void* program = dlopen(nullptr, RTLD_LAZY);
  Dl_serinfo size = {};
  if (program == nullptr || dlinfo(program, RTLD_DI_SERINFOSIZE, &size) != 0) {
    return folders;
  }
  const std::unique_ptr<char[]> storage(new char[size.dls_size]);
  auto* info = reinterpret_cast<Dl_serinfo*>(storage.get());
  if (dlinfo(program, RTLD_DI_SERINFOSIZE, info) == 0 &&
      dlinfo(program, RTLD_DI_SERINFO, info) == 0) {
    for (unsigned int i = 0; i < info->dls_cnt; ++i) {
      folders.push_back(info->dls_serpath[i].dls_name);
    }
  }
  return folders;
}

size_t
CountSystemFolders(const std::vector<std::string>& folders)
{
  for (const std::vector<std::string>& known : kSystemFolders) {
    if (folders.size() >= known.size() &&
        std::equal(known.rbegin(), known.rend(), folders.rbegin())) {
      return known.size();
    }
  }
  return 0;
}

// A relative folder is one of the current folder's.
std::string
FileIn(const std::string& folder, const std::string& name)
{
  char current[PATH_MAX];
  if (folder.compare(0, 1, "/") == 0 ||
      getcwd(current, sizeof(current)) == nullptr) {
    return folder + "/" + name;
  }
  return std::string(current) + "/" +
         (folder.empty() || folder == "." ? "" : folder + "/") + name;
}

}  // namespace

std::string
FindInLoaderCache(const std::string& name, const char* file)
{
  std::ifstream stream(file, std::ios::binary);
  const std::string all(
      (std::istreambuf_iterator<char>(stream)),
      std::istreambuf_iterator<char>());
  const size_t begin = all.find(kCacheMagic);
  if (begin == std::string::npos) {
    return "";
  }
  const std::string cache = all.substr(begin);
  CacheHeader header;
  if (cache.size() < sizeof(header)) {
    return "";
  }
  memcpy(&header, cache.data(), sizeof(header));
  if (header.libraries > (cache.size() - sizeof(header)) / sizeof(CacheEntry)) {
    return "";
  }
  for (uint32_t i = 0; i < header.libraries; ++i) {
    CacheEntry entry;
    memcpy(&entry, &cache[sizeof(header) + i * sizeof(entry)], sizeof(entry));
    const char* found = TextAt(cache, entry.name);
    const char* path = TextAt(cache, entry.path);
    // Builds for newer CPUs have a mark; there are none of the driver.
    if (entry.flags == kCacheFlags && entry.hwcap == 0 && found != nullptr &&
        path != nullptr && name == found) {
      return path;
    }
  }
  return "";
}

std::vector<std::string>
LoaderSearch(const std::string& name, const char* cache)
{
  const std::vector<std::string> folders = LoaderFolders();
  const size_t before_cache = folders.size() - CountSystemFolders(folders);
  std::vector<std::string> files;
  for (size_t i = 0; i <= folders.size(); ++i) {
    if (i == before_cache) {
      const std::string cached = FindInLoaderCache(name, cache);
      if (!cached.empty()) {
        files.push_back(cached);
      }
    }
    if (i < folders.size()) {
      files.push_back(FileIn(folders[i], name));
    }
  }
  return files;
}

}  // namespace xsched
