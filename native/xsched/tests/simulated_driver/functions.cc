// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The driver's functions, on the machine that machine.h models. What is work
// is defined after the shim's own table, so that no row of it goes untested.

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shim/table.h"
#include "simulated_driver/machine.h"

#define DRIVER \
  extern "C" __attribute__((visibility("default"))) xsched::CUresult

namespace simulated {

using xsched::CUarray;
using xsched::CUDA_LAUNCH_PARAMS;
using xsched::CUdevice;
using xsched::CUdeviceptr;
using xsched::CUgraph;
using xsched::CUgraphExec;
using xsched::CUgreenCtx;
using xsched::CUipcEventHandle;
using xsched::CUkernel;
using xsched::CUlaunchConfig;
using xsched::CUmemLocation;
using xsched::CUmemoryPool;
using xsched::cuuint64_t;
using xsched::CUuuid;
using xsched::kCudaErrorInvalidContext;
using xsched::kCudaErrorInvalidValue;
using xsched::kCudaErrorNotFound;
using xsched::kCudaSuccess;

namespace {

thread_local std::vector<CUcontext> context_stack;
thread_local int capture_mode = 0;

CUcontext
Current()
{
  return context_stack.empty() ? nullptr : context_stack.back();
}

Machine::Caller
ThisThread()
{
  return {&capture_mode, capture_mode};
}

// The stream behind a handle of the application's.
CUstream
Resolve(CUstream stream, bool per_thread = false)
{
  switch (reinterpret_cast<uint64_t>(stream)) {
    case 0:
      return Machine::Get().DefaultStream(
          Current(), per_thread ? &capture_mode : nullptr);
    case xsched::kStreamLegacy:
      return Machine::Get().DefaultStream(Current(), nullptr);
    case xsched::kStreamPerThread:
      return Machine::Get().DefaultStream(Current(), &capture_mode);
    default:
      return stream;
  }
}

CUgraph
CapturedGraph()
{
  return reinterpret_cast<CUgraph>(Kernel(1));
}

}  // namespace

// --- the process and its devices -----------------------------------------------

// SIMULATED_INIT: what it returns in place of success.
DRIVER
cuInit(unsigned int)
{
  const char* result = getenv("SIMULATED_INIT");
  return result == nullptr ? kCudaSuccess : atoi(result);
}

// SIMULATED_VERSION: what it says in place of a version of today. CUDA's real
// runtime leaves a driver alone that is older than itself.
DRIVER
cuDriverGetVersion(int* version)
{
  const char* given = getenv("SIMULATED_VERSION");
  *version = given == nullptr ? 13000 : atoi(given);
  return kCudaSuccess;
}

// These two are what Triton itself asks.
DRIVER
cuGetErrorString(CUresult, const char** text)
{
  *text = "a simulated error";
  return kCudaSuccess;
}

DRIVER
cuMemGetAllocationGranularity(size_t* bytes, const void*, int)
{
  *bytes = 2 << 20;
  return kCudaSuccess;
}

DRIVER
cuDeviceGetCount(int* count)
{
  *count = kDevices;
  return kCudaSuccess;
}

DRIVER
cuDeviceGet(CUdevice* device, int ordinal)
{
  *device = ordinal;
  return ordinal >= 0 && ordinal < kDevices ? kCudaSuccess
                                            : kCudaErrorInvalidValue;
}

DRIVER
cuDeviceGetUuid(CUuuid* uuid, CUdevice device)
{
  *uuid = {};
  uuid->bytes[0] = static_cast<char>(device + 1);
  return kCudaSuccess;
}

DRIVER
cuGetExportTable(const void** table, const void* id)
{
  static const char* const kTable[] = {"export table"};
  *table = kTable;
  return id == nullptr ? kCudaErrorInvalidValue : kCudaSuccess;
}

// --- contexts ------------------------------------------------------------------

DRIVER
cuCtxCreate_v2(CUcontext* context, unsigned int, CUdevice device)
{
  const CUresult result = Machine::Get().CreateContext(device, context);
  if (result == kCudaSuccess) {
    context_stack.push_back(*context);
  }
  return result;
}

DRIVER
cuCtxDestroy_v2(CUcontext context)
{
  if (Current() == context) {
    context_stack.pop_back();
  }
  return Machine::Get().DestroyContext(context);
}

DRIVER
cuCtxGetCurrent(CUcontext* context)
{
  *context = Current();
  return kCudaSuccess;
}

DRIVER
cuCtxSetCurrent(CUcontext context)
{
  if (!context_stack.empty()) {
    context_stack.pop_back();
  }
  if (context != nullptr) {
    context_stack.push_back(context);
  }
  return kCudaSuccess;
}

DRIVER
cuCtxPushCurrent_v2(CUcontext context)
{
  if (!Machine::Get().Uses(context)) {
    return kCudaErrorInvalidContext;
  }
  context_stack.push_back(context);
  return kCudaSuccess;
}

DRIVER
cuCtxPopCurrent_v2(CUcontext* context)
{
  if (context_stack.empty()) {
    return kCudaErrorInvalidContext;
  }
  *context = Current();
  context_stack.pop_back();
  return kCudaSuccess;
}

DRIVER
cuCtxGetDevice(CUdevice* device)
{
  return Machine::Get().DeviceOf(Current(), device);
}

DRIVER
cuCtxSynchronize()
{
  return Machine::Get().SynchronizeContext(Current());
}

DRIVER
cuCtxSynchronize_v2(CUcontext context)
{
  return Machine::Get().SynchronizeContext(
      context == nullptr ? Current() : context);
}

DRIVER
cuCtxGetStreamPriorityRange(int* least, int* greatest)
{
  *least = kLeastPriority;
  *greatest = kGreatestPriority;
  return kCudaSuccess;
}

DRIVER
cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device)
{
  return Machine::Get().RetainPrimary(device, context);
}

DRIVER
cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
  return Machine::Get().ReleasePrimary(device);
}

DRIVER
cuDevicePrimaryCtxReset_v2(CUdevice device)
{
  return Machine::Get().ResetPrimary(device);
}

DRIVER
cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active)
{
  *flags = 0;
  return Machine::Get().IsPrimaryActive(device, active);
}

// --- streams -------------------------------------------------------------------

DRIVER
cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority)
{
  constexpr unsigned int kNonBlocking = 1;
  return Machine::Get().CreateStream(
      Current(), (flags & kNonBlocking) == 0, priority, stream);
}

DRIVER
cuStreamCreate(CUstream* stream, unsigned int flags)
{
  return cuStreamCreateWithPriority(stream, flags, 0);
}

// Here a context is its own green context.
DRIVER
cuGreenCtxStreamCreate(
    CUstream* stream, CUgreenCtx context, unsigned int, int priority)
{
  return Machine::Get().CreateStream(
      reinterpret_cast<CUcontext>(context), false, priority, stream);
}

DRIVER
cuCtxFromGreenCtx(CUcontext* context, CUgreenCtx green)
{
  *context = reinterpret_cast<CUcontext>(green);
  return kCudaSuccess;
}

DRIVER
cuGreenCtxDestroy(CUgreenCtx context)
{
  return Machine::Get().DestroyContext(reinterpret_cast<CUcontext>(context));
}

DRIVER
cuStreamDestroy_v2(CUstream stream)
{
  return Machine::Get().DestroyStream(stream);
}

DRIVER
cuStreamGetFlags(CUstream stream, unsigned int* flags)
{
  return Machine::Get().FlagsOf(Resolve(stream), flags);
}

DRIVER
cuStreamGetPriority(CUstream stream, int* priority)
{
  return Machine::Get().PriorityOf(Resolve(stream), priority);
}

DRIVER
cuStreamGetCtx(CUstream stream, CUcontext* context)
{
  return Machine::Get().ContextOf(Resolve(stream), context);
}

DRIVER
cuStreamSynchronize(CUstream stream)
{
  return Machine::Get().SynchronizeStream(Resolve(stream));
}

DRIVER
cuStreamSynchronize_ptsz(CUstream stream)
{
  return Machine::Get().SynchronizeStream(Resolve(stream, true));
}

DRIVER
cuStreamQuery(CUstream stream)
{
  return Machine::Get().QueryStream(Resolve(stream), ThisThread());
}

DRIVER
cuStreamQuery_ptsz(CUstream stream)
{
  return Machine::Get().QueryStream(Resolve(stream, true), ThisThread());
}

DRIVER
cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int)
{
  return Machine::Get().Wait(Resolve(stream), event);
}

DRIVER
cuStreamWaitEvent_ptsz(CUstream stream, CUevent event, unsigned int)
{
  return Machine::Get().Wait(Resolve(stream, true), event);
}

DRIVER
cuStreamIsCapturing(CUstream stream, int* status)
{
  return Machine::Get().IsCapturing(Resolve(stream), status);
}

DRIVER
cuStreamBeginCapture_v2(CUstream stream, int mode)
{
  return Machine::Get().BeginCapture(Resolve(stream), mode, ThisThread());
}

DRIVER
cuStreamBeginCapture_v2_ptsz(CUstream stream, int mode)
{
  return Machine::Get().BeginCapture(Resolve(stream, true), mode, ThisThread());
}

DRIVER
cuStreamEndCapture(CUstream stream, CUgraph* graph)
{
  *graph = CapturedGraph();
  return Machine::Get().EndCapture(Resolve(stream));
}

DRIVER
cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph)
{
  *graph = CapturedGraph();
  return Machine::Get().EndCapture(Resolve(stream, true));
}

DRIVER
cuThreadExchangeStreamCaptureMode(int* mode)
{
  std::swap(*mode, capture_mode);
  return kCudaSuccess;
}

// --- events --------------------------------------------------------------------

DRIVER
cuEventCreate(CUevent* event, unsigned int)
{
  return Machine::Get().CreateEvent(Current(), event);
}

DRIVER
cuEventDestroy_v2(CUevent event)
{
  return Machine::Get().DestroyEvent(event);
}

DRIVER
cuEventRecord(CUevent event, CUstream stream)
{
  const CUresult result = Machine::Get().Record(event, Resolve(stream));
  if (const auto what = Machine::Get().TakeAtNextRecord()) {
    what();
  }
  return result;
}

DRIVER
cuEventRecord_ptsz(CUevent event, CUstream stream)
{
  return Machine::Get().Record(event, Resolve(stream, true));
}

DRIVER
cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
  return flags == xsched::kEventExternal
             ? Machine::Get().AddRecord(CapturedGraph(), event)
             : Machine::Get().Record(event, Resolve(stream));
}

// Of contexts that have nothing to do.
DRIVER
cuCtxRecordEvent(CUcontext, CUevent event)
{
  return Machine::Get().RecordIdle(event);
}

DRIVER
cuGreenCtxRecordEvent(CUgreenCtx, CUevent event)
{
  return Machine::Get().RecordIdle(event);
}

// The other process is this one.
DRIVER
cuIpcGetEventHandle(CUipcEventHandle* handle, CUevent event)
{
  memcpy(handle->reserved, &event, sizeof(event));
  return kCudaSuccess;
}

DRIVER
cuIpcOpenEventHandle(CUevent* event, CUipcEventHandle handle)
{
  memcpy(event, handle.reserved, sizeof(*event));
  return kCudaSuccess;
}

// A graph and what is instantiated of it have one handle.
DRIVER
cuGraphAddEventRecordNode(
    void**, CUgraph graph, const void*, size_t, CUevent event)
{
  return Machine::Get().AddRecord(graph, event);
}

DRIVER
cuGraphAddNode_v2(
    void**, CUgraph graph, const void*, const void*, size_t, void* parameters)
{
  struct RecordNode {
    int type[4];
    CUevent event;
  };
  const auto* const node = static_cast<const RecordNode*>(parameters);
  return node->type[0] == xsched::kGraphNodeRecordEvent
             ? Machine::Get().AddRecord(graph, node->event)
             : kCudaSuccess;
}

DRIVER
cuEventQuery(CUevent event)
{
  return Machine::Get().QueryEvent(event, ThisThread());
}

DRIVER
cuEventSynchronize(CUevent event)
{
  return Machine::Get().SynchronizeEvent(event);
}

DRIVER
cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to)
{
  return Machine::Get().Elapsed(from, to, milliseconds);
}

// --- work ----------------------------------------------------------------------

namespace {

// What the table says that a function does, here as the driver does it.
struct Call {
  bool per_thread;
};

// The kernel; a graph is one kernel whose duration is in its handle.
template <typename Function, typename... Shape>
CUfunction
Grid(Function function, Shape...)
{
  return reinterpret_cast<CUfunction>(function);
}

CUfunction
GridOf(const CUlaunchConfig*, CUfunction function)
{
  return function;
}

CUstream
StreamOf(const CUlaunchConfig* config)
{
  return config->hStream;
}

// A kernel's parameters: one of 8 bytes, if it is given any.
struct Parameters {
  void** separate;
  void** packed;

  uint64_t Read() const
  {
    const void* const from = separate != nullptr ? separate[0]
                             : packed != nullptr ? packed[1]
                                                 : nullptr;
    uint64_t value = 0;
    if (from != nullptr) {
      memcpy(&value, from, sizeof(value));
    }
    return value;
  }
};

Parameters
KernelWith(
    CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, void** separate, void** packed)
{
  return {separate, packed};
}

Parameters
Cooperative(const Parameters& parameters)
{
  return parameters;
}

Parameters
KernelOf(const CUlaunchConfig*, CUfunction, void** separate, void** packed)
{
  return {separate, packed};
}

template <typename LazyParameters>
uint64_t
KeptWith(const LazyParameters& parameters)
{
  return parameters().Read();
}

template <typename LazyGrid>
CUresult
Launch(
    const Call& call, CUstream stream, const LazyGrid& grid,
    uint64_t parameter = 0)
{
  return Machine::Get().Launch(
      Resolve(stream, call.per_thread), grid(), parameter);
}

CUresult
LaunchGraph(const Call& call, CUstream stream, CUgraphExec graph)
{
  return Machine::Get().LaunchGraph(Resolve(stream, call.per_thread), graph);
}

CUresult
LaunchTogether(
    const Call&, const CUDA_LAUNCH_PARAMS* launches, unsigned int count)
{
  CUresult result = kCudaSuccess;
  for (unsigned int i = 0; i < count && result == kCudaSuccess; ++i) {
    result = Machine::Get().Launch(
        Resolve(launches[i].hStream), launches[i].function);
  }
  return result;
}

CUresult
Work(const Call& call, CUstream stream)
{
  return Machine::Get().Launch(Resolve(stream, call.per_thread), Kernel(1));
}

// 8 GB/s, whatever the way; what the shim takes for the size it must find out
// itself, so no structure is read here.
size_t
BytesOf(const size_t*, size_t)
{
  return 0;
}

size_t
BytesOf2D(const void*)
{
  return 0;
}

size_t
BytesOf3D(const void*)
{
  return 0;
}

size_t
BytesOf3DBatch(const void*, size_t)
{
  return 0;
}

size_t
BytesOfFabricBatch(const void*, size_t)
{
  return 0;
}

size_t
BytesOfDecompression(const void*, size_t)
{
  return 0;
}

CUresult
Copy(const Call& call, CUstream stream, size_t bytes)
{
  return Machine::Get().Launch(
      Resolve(stream, call.per_thread),
      Kernel(std::max<size_t>(bytes >> 13, 1)));
}

CUresult
CopyAny(
    const Call& call, CUstream stream, size_t bytes, CUdeviceptr, CUdeviceptr)
{
  return Copy(call, stream, bytes);
}

template <typename Handle>
CUdeviceptr
Number(Handle handle)
{
  return reinterpret_cast<CUdeviceptr>(handle);
}

CUresult
CopyOnDevice(const Call& call, CUstream stream, size_t bytes)
{
  return Copy(call, stream, bytes);
}

template <typename LazyValue>
CUresult
SetAttribute(const Call&, int, int, const LazyValue&)
{
  return kCudaSuccess;
}

int
AttributeOf(...)
{
  return 0;
}

CUresult
ChangeGraph(const Call&, CUgraphExec)
{
  return kCudaSuccess;
}

CUresult
Unload(const Call&)
{
  return kCudaSuccess;
}

CUresult
WaitForDevice(const Call&)
{
  return Machine::Get().WaitForDevice(Current());
}

}  // namespace

// The parameters that a row has no use for.
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define XSCHED_INTERCEPT(                                  \
    symbol, since, per_thread, behaviour, parameters, ...) \
  DRIVER symbol parameters                                 \
  {                                                        \
    const Call call{per_thread};                           \
    return behaviour;                                      \
  }
#include "shim/handles.def"
#include "shim/work.def"
#undef XSCHED_INTERCEPT

// --- what is known of functions -----------------------------------------------

// The odd ones are kernels of a library, without a context, which only the
// second function knows. SIMULATED_VERSION: before CUDA 12.4, neither knows any.
namespace {

CUresult
ParameterInfo(bool knows, size_t index, size_t* offset, size_t* size)
{
  int version = 0;
  cuDriverGetVersion(&version);
  if (version < 12040) {
    return kCudaErrorNotFound;
  }
  if (!knows || index > 0) {
    return kCudaErrorInvalidValue;
  }
  *offset = 0;
  *size = sizeof(uint64_t);
  return kCudaSuccess;
}

bool
IsOfLibrary(const void* function)
{
  return reinterpret_cast<uintptr_t>(function) % 2 != 0;
}

}  // namespace

DRIVER
cuFuncGetParamInfo(
    CUfunction function, size_t index, size_t* offset, size_t* size)
{
  return ParameterInfo(!IsOfLibrary(function), index, offset, size);
}

DRIVER
cuKernelGetParamInfo(
    CUkernel kernel, size_t index, size_t* offset, size_t* size)
{
  return ParameterInfo(IsOfLibrary(kernel), index, offset, size);
}

// Memory that begins at a page is pinned, or the device's.
DRIVER
cuPointerGetAttribute(void*, int, CUdeviceptr memory)
{
  return memory % 4096 == 0 ? kCudaSuccess : kCudaErrorInvalidValue;
}

// SIMULATED_ATTRIBUTE: what every attribute of every function is.
DRIVER
cuFuncGetAttribute(int* value, int, CUfunction)
{
  const char* given = getenv("SIMULATED_ATTRIBUTE");
  *value = given == nullptr ? 0 : atoi(given);
  return kCudaSuccess;
}

DRIVER
cuFuncGetName(const char** name, CUfunction function)
{
  *name = reinterpret_cast<uint64_t>(function) >> 32 == simulated::kCollective
              ? "_Z30ncclDevKernel_AllReduce_Sum_f16_RING_LL"
              : "kernel";
  return kCudaSuccess;
}

// --- what is only forwarded ------------------------------------------------------

// Arguments of every kind, on the stack as well: what forwarding must keep.
DRIVER
cuTensorMapEncodeTiled(
    void* a, int b, unsigned int c, void* d, const cuuint64_t* e,
    const cuuint64_t* f, const unsigned int* g, const unsigned int* h, int i,
    int j, int k, int l)
{
  uint64_t sum = 0;
  for (const uint64_t value :
       {reinterpret_cast<uint64_t>(a), uint64_t(b), uint64_t(c),
        reinterpret_cast<uint64_t>(d), reinterpret_cast<uint64_t>(e),
        reinterpret_cast<uint64_t>(f), reinterpret_cast<uint64_t>(g),
        reinterpret_cast<uint64_t>(h), uint64_t(i), uint64_t(j), uint64_t(k),
        uint64_t(l)}) {
    sum = sum * 3 + value;
  }
  return static_cast<CUresult>(sum);
}

DRIVER
cuTexRefSetMipmapLevelBias(void* reference, float bias)
{
  return static_cast<CUresult>(
      reinterpret_cast<uintptr_t>(reference) + static_cast<int>(bias * 4));
}

// --- the driver's functions by their names -----------------------------------------

// A version that the shim's table does not know, with another signature.
DRIVER
cuStreamQuery_v9(CUstream, int)
{
  return kCudaSuccess;
}

namespace {

CUresult
UnexportedQuery(CUevent event)
{
  return Machine::Get().QueryEvent(event, ThisThread());
}

// Since which version the driver has a function; those that no table names,
// it always had.
int
SinceOf(const std::string& name)
{
#define XSCHED_INTERCEPT(symbol, since, ...) \
  if (name == #symbol) {                     \
    return since;                            \
  }
#include "shim/handles.def"
#include "shim/streams.def"
#include "shim/work.def"
#undef XSCHED_INTERCEPT
  return name == "cuStreamQuery_v9" ? kUnknownVersion : 0;
}

void*
FindSymbol(const std::string& name, int version, bool per_thread)
{
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&FindSymbol), &info);
  void* const self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  void* found = nullptr;
  for (const char* revision : {"_v9", "_v2", ""}) {
    for (const char* variant : {per_thread ? "_ptsz" : "", ""}) {
      const std::string symbol = name + revision + variant;
      if (found == nullptr && SinceOf(symbol) <= version) {
        found = dlsym(self, symbol.c_str());
      }
    }
  }
  dlclose(self);
  return found;
}

}  // namespace

DRIVER
cuGetProcAddress_v2(
    const char* name, void** function, int version, cuuint64_t flags,
    int* status)
{
  *function =
      version == kUnexportedVersion && strcmp(name, "cuEventQuery") == 0
          ? reinterpret_cast<void*>(&UnexportedQuery)
          : FindSymbol(
                name, version, (flags & xsched::kProcPerThreadStream) != 0);
  if (status != nullptr) {
    *status = *function == nullptr ? 1 : 0;
  }
  return *function == nullptr ? kCudaErrorNotFound : kCudaSuccess;
}

DRIVER
cuGetProcAddress(
    const char* name, void** function, int version, cuuint64_t flags)
{
  return cuGetProcAddress_v2(name, function, version, flags, nullptr);
}

// --- control ---------------------------------------------------------------------

std::vector<Execution>
TakeRuns()
{
  return Machine::Get().TakeRuns();
}

void
SetError(CUresult error)
{
  Machine::Get().SetError(error);
}

void
FailLaunches(int count, CUresult error)
{
  Machine::Get().FailLaunches(count, error);
}

void
Hold(bool hold, int device)
{
  Machine::Get().Hold(hold, device);
}

void
HoldDuring(CUfunction kernel)
{
  Machine::Get().HoldDuring(kernel);
}

void
AtNextRecord(std::function<void()> what)
{
  Machine::Get().AtNextRecord(std::move(what));
}

int
LiveEvents()
{
  return Machine::Get().LiveEvents();
}

int
BrokenCaptures()
{
  return Machine::Get().BrokenCaptures();
}

int
StaleUses()
{
  return Machine::Get().StaleUses();
}

}  // namespace simulated
