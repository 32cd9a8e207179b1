// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/kernel_copy.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "cuda/functions.h"

namespace xsched {
namespace {

constexpr size_t kAlignment = 16;
constexpr size_t kMaxParameters = 4096;
// More than the driver takes.
constexpr size_t kMaxBytes = 64 << 10;

size_t
Aligned(size_t bytes)
{
  return (bytes + kAlignment - 1) & ~(kAlignment - 1);
}

// How large the parameters of a function are, one after the other. A driver takes
// less than 32 KiB of them.
struct Parameters {
  bool known = false;
  std::vector<uint16_t> sizes;
};

// The same for one launch, which the cache may forget meanwhile. Without an
// allocation, and without a shared_ptr: for that, a newer compiler asks the C
// library whether there are threads, which one of 2.31 does not tell.
struct Sizes {
  size_t count = 0;
  std::array<uint16_t, kMaxParameters> of;

  const uint16_t* begin() const { return of.data(); }
  const uint16_t* end() const { return of.data() + count; }
};

struct Cache {
  std::mutex mutex;
  // Counts up when it is emptied.
  uint64_t version = 0;
  std::unordered_map<CUfunction, Parameters> entries;
};

Cache&
GetCache()
{
  // Never destroyed: launches may go on while the process exits.
  static Cache* cache = new Cache;
  return *cache;
}

// The driver knows the end of the list by CUDA_ERROR_INVALID_VALUE.
template <typename Ask>
bool
ReadSizes(const Ask& ask, std::vector<uint16_t>* sizes)
{
  sizes->clear();
  for (;;) {
    size_t offset = 0;
    size_t size = 0;
    const CUresult result = ask(sizes->size(), &offset, &size);
    if (result != kCudaSuccess) {
      return result == kCudaErrorInvalidValue;
    }
    if (sizes->size() == kMaxParameters || size > UINT16_MAX) {
      return false;
    }
    sizes->push_back(static_cast<uint16_t>(size));
  }
}

// Launches take a CUkernel as well, which only the second one knows.
Parameters
AskForParameters(CUfunction function)
{
  Parameters parameters;
  parameters.known = ReadSizes(
      [function](size_t index, size_t* offset, size_t* size) {
        return real::cuFuncGetParamInfo(function, index, offset, size);
      },
      &parameters.sizes);
  if (!parameters.known || parameters.sizes.empty()) {
    std::vector<uint16_t> sizes;
    const bool known = ReadSizes(
        [function](size_t index, size_t* offset, size_t* size) {
          return real::cuKernelGetParamInfo(
              reinterpret_cast<CUkernel>(function), index, offset, size);
        },
        &sizes);
    if (known) {
      parameters.known = true;
      parameters.sizes = std::move(sizes);
    }
  }
  return parameters;
}

// False if nobody knows.
bool
Take(const Parameters& parameters, Sizes* sizes)
{
  sizes->count = parameters.sizes.size();
  std::copy(
      parameters.sizes.begin(), parameters.sizes.end(), sizes->of.begin());
  return parameters.known;
}

bool
SizesOf(CUfunction function, Sizes* sizes)
{
  Cache& cache = GetCache();
  uint64_t version = 0;
  {
    std::lock_guard<std::mutex> lock(cache.mutex);
    const auto found = cache.entries.find(function);
    if (found != cache.entries.end()) {
      return Take(found->second, sizes);
    }
    version = cache.version;
  }
  // No call of the driver with the lock held.
  Parameters parameters = AskForParameters(function);
  const bool known = Take(parameters, sizes);
  std::lock_guard<std::mutex> lock(cache.mutex);
  if (cache.version == version) {
    cache.entries.emplace(function, std::move(parameters));
  }
  return known;
}

// Whether an attribute is a value by itself. Those that record an event, or that
// belong to a graph's node, are not; nor is one that is not known here.
bool
IsPlain(int id)
{
  switch (id) {
    case 0:   // none
    case 1:   // access policy window
    case 2:   // cooperative
    case 3:   // synchronization policy
    case 4:   // cluster dimension
    case 5:   // cluster scheduling policy
    case 6:   // programmatic stream serialization
    case 8:   // priority
    case 9:   // memory synchronization domain map
    case 10:  // memory synchronization domain
    case 11:  // preferred cluster dimension
    case 14:  // preferred shared memory carveout
      return true;
    default:
      return false;
  }
}

// The driver's words for 'extra'.
void* const kExtraEnd = nullptr;
void* const kExtraBuffer = reinterpret_cast<void*>(1);
void* const kExtraSize = reinterpret_cast<void*>(2);

// The parameters as the application has packed them.
struct Packed {
  const void* buffer = nullptr;
  const size_t* size = nullptr;

  bool Read(void** extra)
  {
    for (; *extra != kExtraEnd; extra += 2) {
      if (extra[0] == kExtraBuffer) {
        buffer = extra[1];
      } else if (extra[0] == kExtraSize) {
        size = static_cast<const size_t*>(extra[1]);
      } else {
        return false;
      }
    }
    return buffer != nullptr && size != nullptr && *size <= kMaxBytes;
  }
};

// Hands out the parts of a memory of which the size is known before.
class Parts {
 public:
  explicit Parts(std::vector<unsigned char>* memory) : next_(memory->data()) {}

  template <typename T>
  T* Copy(const T* from, size_t bytes)
  {
    void* const place = next_;
    if (from != nullptr && bytes != 0) {
      memcpy(place, from, bytes);
    }
    next_ += Aligned(bytes);
    return static_cast<T*>(place);
  }
  void* Copy(const void* from, size_t bytes)
  {
    return Copy(static_cast<const unsigned char*>(from), bytes);
  }

 private:
  unsigned char* next_;
};

}  // namespace

bool
KernelLaunch::MoveTo(std::vector<unsigned char>* memory)
{
  size_t bytes = 0;
  const size_t attribute_bytes = config.numAttrs * sizeof(CUlaunchAttribute);
  if (config.attrs == nullptr && config.numAttrs != 0) {
    return false;
  }
  for (unsigned int i = 0; i < config.numAttrs; ++i) {
    if (!IsPlain(static_cast<const CUlaunchAttribute*>(config.attrs)[i].id)) {
      return false;
    }
  }
  bytes += Aligned(attribute_bytes);
  Sizes sizes;
  Packed packed;
  if (parameters != nullptr) {
    if (!SizesOf(function, &sizes) || extra != nullptr) {
      return false;
    }
    bytes += Aligned(sizes.count * sizeof(void*));
    for (const size_t size : sizes) {
      bytes += Aligned(size);
    }
  } else if (extra != nullptr) {
    if (!packed.Read(extra)) {
      return false;
    }
    bytes += Aligned(5 * sizeof(void*)) + Aligned(sizeof(size_t)) +
             Aligned(*packed.size);
  }
  if (bytes > kMaxBytes) {
    return false;
  }
  memory->resize(bytes);
  Parts parts(memory);
  if (attribute_bytes != 0) {
    config.attrs = parts.Copy(config.attrs, attribute_bytes);
  }
  if (parameters != nullptr) {
    void** const from = parameters;
    parameters = parts.Copy(from, sizes.count * sizeof(void*));
    for (size_t i = 0; i < sizes.count; ++i) {
      parameters[i] = parts.Copy(from[i], sizes.of[i]);
    }
  } else if (extra != nullptr) {
    void* const buffer = parts.Copy(packed.buffer, *packed.size);
    const size_t* const size = parts.Copy(packed.size, sizeof(size_t));
    void* const words[] = {
        kExtraBuffer, buffer, kExtraSize, const_cast<size_t*>(size), kExtraEnd};
    extra = parts.Copy(words, sizeof(words));
  }
  return true;
}

CUresult
KernelLaunch::operator()() const
{
  const CUlaunchConfig& c = config;
  switch (kind) {
    case kPlain:
      return real::cuLaunchKernel(
          function, c.gridDimX, c.gridDimY, c.gridDimZ, c.blockDimX,
          c.blockDimY, c.blockDimZ, c.sharedMemBytes, c.hStream, parameters,
          extra);
    case kCooperative:
      return real::cuLaunchCooperativeKernel(
          function, c.gridDimX, c.gridDimY, c.gridDimZ, c.blockDimX,
          c.blockDimY, c.blockDimZ, c.sharedMemBytes, c.hStream, parameters);
    case kWithAttributes:
      return real::cuLaunchKernelEx(&config, function, parameters, extra);
  }
  return kCudaErrorInvalidValue;
}

void
ForgetKernelParameters()
{
  Cache& cache = GetCache();
  std::lock_guard<std::mutex> lock(cache.mutex);
  ++cache.version;
  cache.entries.clear();
}

}  // namespace xsched
