// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Compares this project's idea of the driver's interface with a cuda.h.
// check.py compiles it once for each toolkit, with a CHECKS that names what
// that toolkit declares:
//   CHECK_ROW(symbol)          a function of the shim's tables
//   CHECK_CALL(symbol)         a function that the scheduler calls
//   CHECK_SINCE(symbol, type)  a row whose version has this type in
//                              cudaTypedefs.h

#include <cstddef>
#include <type_traits>

#include "cuda/functions.h"
#include "shim/table.h"

namespace xsched { namespace rows {

// Before cuda.h, which makes macros of some of these names.
#define XSCHED_INTERCEPT(                                        \
    symbol, since, per_thread, behaviour, parameters, arguments) \
  using Of_##symbol = CUresult parameters;
#include "shim/handles.def"
#include "shim/streams.def"
#include "shim/work.def"
#undef XSCHED_INTERCEPT

}}  // namespace xsched::rows

// Declares every version of every function, under its symbol.
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>
#include <cudaTypedefs.h>

namespace {

template <typename Type>
using Pointee = std::remove_cv_t<std::remove_pointer_t<Type>>;

// Whether an argument of type 'Ours' is passed as one of type 'Theirs' is:
// the same type, or what abi.h says stands for it.
template <typename Ours, typename Theirs>
constexpr bool
Fits()
{
  if constexpr (std::is_same_v<Ours, Theirs>) {
    return true;
  } else if constexpr (std::is_same_v<Ours, int>) {
    return std::is_enum_v<Theirs> && sizeof(Ours) == sizeof(Theirs);
  } else if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    return std::is_void_v<Pointee<Ours>> ||
           Fits<Pointee<Ours>, Pointee<Theirs>>();
  } else if constexpr (std::is_class_v<Ours> && std::is_class_v<Theirs>) {
    return sizeof(Ours) == sizeof(Theirs) && alignof(Ours) == alignof(Theirs) &&
           std::is_trivial_v<Theirs>;
  } else {
    return false;
  }
}

template <typename Ours, typename Theirs>
struct Matches : std::false_type {
};

template <
    typename OurResult, typename... Ours, typename TheirResult,
    typename... Theirs>
struct Matches<OurResult(Ours...), TheirResult(Theirs...)> {
  static constexpr bool Compare()
  {
    if constexpr (sizeof...(Ours) == sizeof...(Theirs)) {
      return Fits<OurResult, TheirResult>() && (Fits<Ours, Theirs>() && ...);
    } else {
      return false;
    }
  }
  static constexpr bool value = Compare();
};

template <typename Function>
struct SignatureOf;

template <typename Signature>
struct SignatureOf<xsched::DriverFunction<Signature>> {
  using Type = Signature;
};

#define CHECK_ROW(symbol)                                            \
  static_assert(                                                     \
      Matches<xsched::rows::Of_##symbol, decltype(::symbol)>::value, \
      #symbol ": a table has it with other parameters than cuda.h")
#define CHECK_CALL(symbol)                                                     \
  static_assert(                                                               \
      Matches<                                                                 \
          SignatureOf<std::remove_cv_t<decltype(xsched::real::symbol)>>::Type, \
          decltype(::symbol)>::value,                                          \
      #symbol ": functions.h has it with other parameters than cuda.h")
#define CHECK_SINCE(symbol, type)                \
  static_assert(                                 \
      std::is_same_v<type, decltype(&::symbol)>, \
      #symbol ": its version in the table is another symbol's: " #type)
#include CHECKS

#define CHECK_VALUE(ours, theirs)                                             \
  static_assert(                                                              \
      static_cast<long long>(xsched::ours) == static_cast<long long>(theirs), \
      #ours)
CHECK_VALUE(kCudaSuccess, CUDA_SUCCESS);
CHECK_VALUE(kCudaErrorInvalidValue, CUDA_ERROR_INVALID_VALUE);
CHECK_VALUE(kCudaErrorInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
CHECK_VALUE(kCudaErrorInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
CHECK_VALUE(kCudaErrorInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
CHECK_VALUE(kCudaErrorNotFound, CUDA_ERROR_NOT_FOUND);
CHECK_VALUE(kCudaErrorNotReady, CUDA_ERROR_NOT_READY);
CHECK_VALUE(
    kCudaErrorCaptureUnsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
CHECK_VALUE(kCudaErrorCaptureUnmatched, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
CHECK_VALUE(
    kCudaErrorCaptureWrongThread, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
CHECK_VALUE(kEventDefault, CU_EVENT_DEFAULT);
CHECK_VALUE(kEventDisableTiming, CU_EVENT_DISABLE_TIMING);
#if CUDA_VERSION >= 11010
CHECK_VALUE(kEventExternal, CU_EVENT_RECORD_EXTERNAL);
CHECK_VALUE(kEventExternal, CU_EVENT_WAIT_EXTERNAL);
CHECK_VALUE(kGraphNodeWaitEvent, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
CHECK_VALUE(kGraphNodeRecordEvent, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
#endif
CHECK_VALUE(kCaptureNone, CU_STREAM_CAPTURE_STATUS_NONE);
CHECK_VALUE(kCaptureModeRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
CHECK_VALUE(
    kProcPerThreadStream, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);

#define CHECK_MEMBER(structure, member)                                       \
  static_assert(                                                              \
      offsetof(xsched::structure, member) == offsetof(::structure, member) && \
          sizeof(xsched::structure::member) == sizeof(::structure::member),   \
      #structure "." #member)
#define CHECK_GRID(structure)              \
  CHECK_MEMBER(structure, gridDimX);       \
  CHECK_MEMBER(structure, gridDimY);       \
  CHECK_MEMBER(structure, gridDimZ);       \
  CHECK_MEMBER(structure, blockDimX);      \
  CHECK_MEMBER(structure, blockDimY);      \
  CHECK_MEMBER(structure, blockDimZ);      \
  CHECK_MEMBER(structure, sharedMemBytes); \
  CHECK_MEMBER(structure, hStream);        \
  static_assert(sizeof(xsched::structure) == sizeof(::structure), #structure)
CHECK_MEMBER(CUDA_MEMCPY2D, WidthInBytes);
CHECK_MEMBER(CUDA_MEMCPY2D, Height);
CHECK_MEMBER(CUDA_MEMCPY3D, WidthInBytes);
CHECK_MEMBER(CUDA_MEMCPY3D, Height);
CHECK_MEMBER(CUDA_MEMCPY3D, Depth);
static_assert(sizeof(xsched::CUDA_MEMCPY2D) == sizeof(::CUDA_MEMCPY2D), "");
static_assert(sizeof(xsched::CUDA_MEMCPY3D) == sizeof(::CUDA_MEMCPY3D), "");
static_assert(
    sizeof(xsched::CUDA_MEMCPY3D) == sizeof(::CUDA_MEMCPY3D_PEER) &&
        offsetof(xsched::CUDA_MEMCPY3D, WidthInBytes) ==
            offsetof(::CUDA_MEMCPY3D_PEER, WidthInBytes),
    "");
CHECK_GRID(CUDA_LAUNCH_PARAMS);
CHECK_MEMBER(CUDA_LAUNCH_PARAMS, function);
CHECK_MEMBER(CUDA_LAUNCH_PARAMS, kernelParams);
#if CUDA_VERSION >= 11080
CHECK_GRID(CUlaunchConfig);
CHECK_MEMBER(CUlaunchConfig, attrs);
CHECK_MEMBER(CUlaunchConfig, numAttrs);
#endif
#if CUDA_VERSION >= 12060
CHECK_MEMBER(CUmemDecompressParams, srcNumBytes);
CHECK_MEMBER(CUmemDecompressParams, dstNumBytes);
static_assert(
    sizeof(xsched::CUmemDecompressParams) == sizeof(::CUmemDecompressParams),
    "");
#endif
#if CUDA_VERSION >= 12080
CHECK_MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent);
CHECK_MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent.width);
CHECK_MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent.height);
CHECK_MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent.depth);
static_assert(
    sizeof(xsched::CUDA_MEMCPY3D_BATCH_OP) == sizeof(::CUDA_MEMCPY3D_BATCH_OP),
    "");
#endif
#if CUDA_VERSION >= 13050
CHECK_MEMBER(CUDA_FABRIC_COPY_BATCH_OP, size);
static_assert(
    sizeof(xsched::CUDA_FABRIC_COPY_BATCH_OP) ==
        sizeof(::CUDA_FABRIC_COPY_BATCH_OP),
    "");
#endif
#if CUDA_VERSION >= 12020
CHECK_MEMBER(CUmemLocation, type);
CHECK_MEMBER(CUmemLocation, id);
#endif
#if CUDA_VERSION >= 12020
static_assert(offsetof(::CUgraphNodeParams, type) == 0, "");
#endif
CHECK_MEMBER(CUuuid, bytes);

}  // namespace

// What the compiler takes for no constant.
int
main()
{
  return reinterpret_cast<uint64_t>(CU_STREAM_LEGACY) ==
                     xsched::kStreamLegacy &&
                 reinterpret_cast<uint64_t>(CU_STREAM_PER_THREAD) ==
                     xsched::kStreamPerThread
             ? 0
             : 1;
}
