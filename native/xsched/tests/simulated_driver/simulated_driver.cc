// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "simulated_driver/simulated_driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "preempt/clock.h"

#define DRIVER extern "C" __attribute__((visibility("default"))) CUresult

namespace {

using xsched::NowNs;

constexpr int kLeastPriority = 0;
constexpr int kGreatestPriority = -5;
constexpr CUresult kErrorInvalidValue = 1;
constexpr CUresult kErrorCaptureUnsupported = 900;

struct Event {
  uint64_t recorded = 0;
  uint64_t completed = 0;
  int64_t at_ns = 0;
  bool timing = true;
};

struct Operation {
  enum Kind { kKernel, kRecord, kWait } kind;
  CUfunction function;
  std::shared_ptr<Event> event;
  uint64_t version;
  uint64_t submitted;
};

struct Stream {
  int priority = 0;
  bool capturing = false;
  std::deque<Operation> operations;
};

struct Context {
  int device = 0;
};

thread_local CUcontext current_context = nullptr;
thread_local std::vector<CUcontext>* context_stack = nullptr;
thread_local int capture_mode = 0;

class Device {
 public:
  static Device&
  Get()
  {
    static Device* device = new Device;
    return *device;
  }

  std::mutex mutex;
  std::condition_variable changed;  // something was submitted
  std::condition_variable done;     // something has finished
  std::map<CUstream, Stream> streams;
  std::map<CUevent, std::shared_ptr<Event>> events;
  std::set<CUcontext> contexts;
  std::vector<simulated::Execution> runs;
  uint64_t clock = 0;
  uintptr_t next_handle = 0x1000;
  CUresult error = 0;
  int launch_failures = 0;
  CUresult launch_error = 0;
  int broken_captures = 0;
  bool held = false;

  template <typename Handle>
  Handle
  NewHandle()
  {
    return reinterpret_cast<Handle>(next_handle += 0x10);
  }

  Stream*
  Find(CUstream stream)
  {
    if (reinterpret_cast<uintptr_t>(stream) <= 2) {
      return &streams[stream];
    }
    const auto found = streams.find(stream);
    return found == streams.end() ? nullptr : &found->second;
  }

 private:
  Device()
  {
    std::thread(&Device::Work, this).detach();
  }

  // Does what takes no time; returns the stream whose kernel is next.
  CUstream
  Next(bool* found)
  {
    *found = false;
    CUstream best = nullptr;
    for (bool again = true; again;) {
      again = false;
      *found = false;
      for (auto& entry : streams) {
        auto& operations = entry.second.operations;
        while (!operations.empty() &&
               operations.front().kind != Operation::kKernel) {
          Operation& operation = operations.front();
          if (operation.kind == Operation::kRecord) {
            operation.event->completed =
                std::max(operation.event->completed, operation.version);
            operation.event->at_ns = device_ns;
          } else if (operation.event->completed < operation.version) {
            break;
          }
          operations.pop_front();
          again = true;
        }
        if (operations.empty() ||
            operations.front().kind != Operation::kKernel) {
          continue;
        }
        if (!*found ||
            entry.second.priority < streams[best].priority ||
            (entry.second.priority == streams[best].priority &&
             operations.front().submitted <
                 streams[best].operations.front().submitted)) {
          best = entry.first;
          *found = true;
        }
      }
    }
    return best;
  }

  void
  Work()
  {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      bool found = false;
      // Events that are recorded while nothing runs happen now.
      if (idle) {
        device_ns = NowNs();
      }
      const CUstream stream = Next(&found);
      done.notify_all();
      if (!found || held) {
        idle = true;
        changed.wait(lock);
        continue;
      }
      idle = false;
      Operation& operation = streams[stream].operations.front();
      const uint64_t microseconds =
          reinterpret_cast<uint64_t>(operation.function) & 0xFFFFFFFF;
      runs.push_back(
          {stream, operation.function, operation.submitted, ++clock});
      device_ns += static_cast<int64_t>(microseconds) * 1000;
      const int64_t until_ns = device_ns;
      lock.unlock();
      // Short kernels run back to back in the device's own time, which may
      // be a little ahead of the machine's.
      while (until_ns - NowNs() > 20000) {
        std::this_thread::sleep_for(
            std::chrono::nanoseconds(until_ns - NowNs()));
      }
      lock.lock();
      device_ns = std::max(device_ns, NowNs() - 100000);
      const auto entry = streams.find(stream);
      if (entry != streams.end() && !entry->second.operations.empty()) {
        entry->second.operations.pop_front();
      }
    }
  }

  int64_t device_ns = 0;
  bool idle = true;
};

#define RETURN_ERROR_IF_SET(device)          \
  std::unique_lock<std::mutex> lock((device).mutex); \
  if ((device).error != 0) {                 \
    return (device).error;                   \
  }                                          \
  static_assert(true, "ends in a semicolon")

CUresult
Submit(CUstream handle, Operation operation, bool launch)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  if (launch && device.launch_failures > 0) {
    --device.launch_failures;
    return device.launch_error;
  }
  Stream* stream = device.Find(handle);
  if (stream == nullptr) {
    return xsched::kCudaErrorInvalidHandle;
  }
  if (stream->capturing) {
    return xsched::kCudaSuccess;  // becomes part of a graph: does not run
  }
  operation.submitted = ++device.clock;
  stream->operations.push_back(operation);
  device.changed.notify_one();
  return xsched::kCudaSuccess;
}

CUresult
LaunchKernel(CUfunction function, CUstream stream)
{
  return Submit(
      stream, {Operation::kKernel, function, nullptr, 0, 0}, true);
}

CUresult
Synchronize(CUstream handle)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  for (;;) {
    Stream* stream = device.Find(handle);
    if (stream == nullptr) {
      return xsched::kCudaErrorInvalidHandle;
    }
    if (device.error != 0) {
      return device.error;
    }
    if (stream->operations.empty()) {
      return xsched::kCudaSuccess;
    }
    device.done.wait_for(lock, std::chrono::milliseconds(10));
  }
}

CUresult
Query(CUstream handle)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  Stream* stream = device.Find(handle);
  if (stream == nullptr) {
    return xsched::kCudaErrorInvalidHandle;
  }
  if (stream->capturing) {
    ++device.broken_captures;
    return kErrorCaptureUnsupported;
  }
  return stream->operations.empty() ? xsched::kCudaSuccess
                                    : xsched::kCudaErrorNotReady;
}

CUresult
Record(CUevent handle, CUstream stream)
{
  Device& device = Device::Get();
  std::shared_ptr<Event> event;
  uint64_t version = 0;
  {
    RETURN_ERROR_IF_SET(device);
    const auto found = device.events.find(handle);
    if (found == device.events.end()) {
      return xsched::kCudaErrorInvalidHandle;
    }
    event = found->second;
    version = ++event->recorded;
  }
  return Submit(
      stream, {Operation::kRecord, nullptr, event, version, 0}, false);
}

}  // namespace

namespace simulated {

std::vector<Execution>
TakeRuns()
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  std::vector<Execution> runs;
  runs.swap(device.runs);
  return runs;
}

void
SetError(CUresult error)
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  device.error = error;
  device.done.notify_all();
}

void
FailLaunches(int count, CUresult error)
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  device.launch_failures = count;
  device.launch_error = error;
}

void
Hold(bool hold)
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  device.held = hold;
  device.changed.notify_one();
}

int
LiveEvents()
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  return static_cast<int>(device.events.size());
}

int
BrokenCaptures()
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  return device.broken_captures;
}

}  // namespace simulated

// --- the driver's interface --------------------------------------------------

DRIVER cuInit(unsigned int) { return xsched::kCudaSuccess; }

DRIVER
cuDriverGetVersion(int* version)
{
  *version = 12040;
  return xsched::kCudaSuccess;
}

DRIVER
cuDeviceGet(CUdevice* device, int ordinal)
{
  *device = ordinal;
  return ordinal < 2 ? xsched::kCudaSuccess : kErrorInvalidValue;
}

DRIVER
cuCtxCreate_v2(CUcontext* context, unsigned int, CUdevice ordinal)
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  *context = reinterpret_cast<CUcontext>(new Context{ordinal});
  device.contexts.insert(*context);
  current_context = *context;
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxDestroy_v2(CUcontext context)
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  if (device.contexts.erase(context) == 0) {
    return xsched::kCudaErrorInvalidContext;
  }
  delete reinterpret_cast<Context*>(context);
  if (current_context == context) {
    current_context = nullptr;
  }
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxGetCurrent(CUcontext* context)
{
  *context = current_context;
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxSetCurrent(CUcontext context)
{
  current_context = context;
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxPushCurrent_v2(CUcontext context)
{
  static thread_local std::vector<CUcontext> stack;
  context_stack = &stack;
  stack.push_back(current_context);
  current_context = context;
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxPopCurrent_v2(CUcontext* context)
{
  if (context_stack == nullptr || context_stack->empty()) {
    return xsched::kCudaErrorInvalidContext;
  }
  *context = current_context;
  current_context = context_stack->back();
  context_stack->pop_back();
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxGetDevice(CUdevice* ordinal)
{
  if (current_context == nullptr) {
    return xsched::kCudaErrorInvalidContext;
  }
  *ordinal = reinterpret_cast<Context*>(current_context)->device;
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxSynchronize()
{
  std::vector<CUstream> streams;
  {
    Device& device = Device::Get();
    std::lock_guard<std::mutex> lock(device.mutex);
    for (const auto& entry : device.streams) {
      streams.push_back(entry.first);
    }
  }
  for (CUstream stream : streams) {
    const CUresult result = Synchronize(stream);
    if (result != xsched::kCudaSuccess) {
      return result;
    }
  }
  return xsched::kCudaSuccess;
}

DRIVER
cuCtxGetStreamPriorityRange(int* least, int* greatest)
{
  *least = kLeastPriority;
  *greatest = kGreatestPriority;
  return xsched::kCudaSuccess;
}

DRIVER
cuStreamCreateWithPriority(CUstream* stream, unsigned int, int priority)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  *stream = device.NewHandle<CUstream>();
  device.streams[*stream].priority = std::min(
      kLeastPriority, std::max(kGreatestPriority, priority));
  return xsched::kCudaSuccess;
}

DRIVER
cuStreamCreate(CUstream* stream, unsigned int flags)
{
  return cuStreamCreateWithPriority(stream, flags, 0);
}

DRIVER
cuStreamDestroy_v2(CUstream stream)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  return device.streams.erase(stream) == 1 ? xsched::kCudaSuccess
                                           : xsched::kCudaErrorInvalidHandle;
}

DRIVER
cuStreamGetPriority(CUstream handle, int* priority)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  Stream* stream = device.Find(handle);
  if (stream == nullptr) {
    return xsched::kCudaErrorInvalidHandle;
  }
  *priority = stream->priority;
  return xsched::kCudaSuccess;
}

DRIVER cuStreamSynchronize(CUstream stream) { return Synchronize(stream); }
DRIVER cuStreamSynchronize_ptsz(CUstream stream) { return Synchronize(stream); }
DRIVER cuStreamQuery(CUstream stream) { return Query(stream); }
DRIVER cuStreamQuery_ptsz(CUstream stream) { return Query(stream); }

DRIVER
cuStreamWaitEvent(CUstream stream, CUevent handle, unsigned int)
{
  std::shared_ptr<Event> event;
  {
    Device& device = Device::Get();
    RETURN_ERROR_IF_SET(device);
    const auto found = device.events.find(handle);
    if (found == device.events.end()) {
      return xsched::kCudaErrorInvalidHandle;
    }
    event = found->second;
  }
  return Submit(
      stream, {Operation::kWait, nullptr, event, event->recorded, 0}, false);
}

DRIVER
cuStreamIsCapturing(CUstream handle, int* status)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  Stream* stream = device.Find(handle);
  if (stream == nullptr) {
    return xsched::kCudaErrorInvalidHandle;
  }
  *status = stream->capturing ? 1 : 0;
  return xsched::kCudaSuccess;
}

DRIVER
cuStreamBeginCapture_v2(CUstream handle, int)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  Stream* stream = device.Find(handle);
  if (stream == nullptr || stream->capturing) {
    return xsched::kCudaErrorInvalidHandle;
  }
  stream->capturing = true;
  return xsched::kCudaSuccess;
}

DRIVER
cuStreamEndCapture(CUstream handle, CUgraph* graph)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  Stream* stream = device.Find(handle);
  if (stream == nullptr || !stream->capturing) {
    return xsched::kCudaErrorInvalidHandle;
  }
  stream->capturing = false;
  *graph = device.NewHandle<CUgraph>();
  return xsched::kCudaSuccess;
}

DRIVER
cuThreadExchangeStreamCaptureMode(int* mode)
{
  std::swap(*mode, capture_mode);
  return xsched::kCudaSuccess;
}

DRIVER
cuEventCreate(CUevent* event, unsigned int)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  *event = device.NewHandle<CUevent>();
  device.events[*event] = std::make_shared<Event>();
  return xsched::kCudaSuccess;
}

DRIVER
cuEventDestroy_v2(CUevent event)
{
  Device& device = Device::Get();
  std::lock_guard<std::mutex> lock(device.mutex);
  return device.events.erase(event) == 1 ? xsched::kCudaSuccess
                                         : xsched::kCudaErrorInvalidHandle;
}

DRIVER cuEventRecord(CUevent event, CUstream stream) { return Record(event, stream); }
DRIVER cuEventRecord_ptsz(CUevent event, CUstream stream) { return Record(event, stream); }

DRIVER
cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int)
{
  return Record(event, stream);
}

DRIVER
cuEventQuery(CUevent handle)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  const auto found = device.events.find(handle);
  if (found == device.events.end()) {
    return xsched::kCudaErrorInvalidHandle;
  }
  return found->second->completed >= found->second->recorded
             ? xsched::kCudaSuccess
             : xsched::kCudaErrorNotReady;
}

DRIVER
cuEventSynchronize(CUevent handle)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  const auto found = device.events.find(handle);
  if (found == device.events.end()) {
    return xsched::kCudaErrorInvalidHandle;
  }
  const std::shared_ptr<Event> event = found->second;
  while (event->completed < event->recorded) {
    if (device.error != 0) {
      return device.error;
    }
    device.done.wait_for(lock, std::chrono::milliseconds(10));
  }
  return xsched::kCudaSuccess;
}

DRIVER
cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to)
{
  Device& device = Device::Get();
  RETURN_ERROR_IF_SET(device);
  const auto first = device.events.find(from);
  const auto last = device.events.find(to);
  if (first == device.events.end() || last == device.events.end()) {
    return xsched::kCudaErrorInvalidHandle;
  }
  *milliseconds = static_cast<float>(
      static_cast<double>(last->second->at_ns - first->second->at_ns) / 1e6);
  return xsched::kCudaSuccess;
}

DRIVER
cuLaunchKernel(
    CUfunction f, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream stream, void**, void**)
{
  return LaunchKernel(f, stream);
}

DRIVER
cuLaunchKernel_ptsz(
    CUfunction f, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream stream, void**, void**)
{
  return LaunchKernel(f, stream);
}

DRIVER
cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction f, void**, void**)
{
  return LaunchKernel(f, config->hStream);
}

DRIVER
cuLaunchCooperativeKernel(
    CUfunction f, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream stream, void**)
{
  return LaunchKernel(f, stream);
}

// The simulated graph is one kernel whose duration is in its handle.
DRIVER
cuGraphLaunch(CUgraphExec graph, CUstream stream)
{
  return LaunchKernel(reinterpret_cast<CUfunction>(graph), stream);
}

DRIVER
cuMemcpyHtoDAsync_v2(CUdeviceptr, const void*, size_t, CUstream stream)
{
  return LaunchKernel(simulated::Kernel(1), stream);
}

// Eight arguments, some of them floating point: what forwarding must keep.
DRIVER
cuTexRefSetBorderColor(void* reference, float* color)
{
  return reference == nullptr ? static_cast<CUresult>(color[0]) : 0;
}

DRIVER
cuTexRefSetMipmapLevelBias(void* reference, float bias)
{
  return static_cast<CUresult>(
      reinterpret_cast<uintptr_t>(reference) + static_cast<int>(bias * 4));
}

DRIVER
cuModuleLoadDataEx(
    void* a, void* b, unsigned int c, void* d, void* e)
{
  return static_cast<CUresult>(
      reinterpret_cast<uintptr_t>(a) * 10000 +
      reinterpret_cast<uintptr_t>(b) * 1000 + c * 100 +
      reinterpret_cast<uintptr_t>(d) * 10 + reinterpret_cast<uintptr_t>(e));
}

DRIVER
cuGetProcAddress_v2(
    const char* symbol, void** function, int version, cuuint64_t flags,
    int* status)
{
  void* self = nullptr;
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&cuInit), &info) != 0) {
    self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }
  const std::string suffix =
      (flags & xsched::kProcPerThreadStream) != 0 ? "_ptsz" : "";
  *function = nullptr;
  for (const std::string& name :
       {std::string(symbol) + (version >= 4000 ? "_v2" : "") + suffix,
        symbol + suffix, std::string(symbol) + "_v2", std::string(symbol)}) {
    if ((*function = dlsym(self, name.c_str())) != nullptr) {
      break;
    }
  }
  dlclose(self);
  if (status != nullptr) {
    *status = *function == nullptr ? 1 : 0;
  }
  return *function == nullptr ? xsched::kCudaErrorNotFound
                              : xsched::kCudaSuccess;
}

DRIVER
cuGetProcAddress(
    const char* symbol, void** function, int version, cuuint64_t flags)
{
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}
