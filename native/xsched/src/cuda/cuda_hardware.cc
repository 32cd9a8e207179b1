// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/cuda_hardware.h"

#include <pthread.h>

#include "cuda/capture.h"
#include "cuda/context_scope.h"
#include "cuda/functions.h"

namespace xsched {
namespace {

CUstream
AsStream(uint64_t stream)
{
  return reinterpret_cast<CUstream>(stream);
}

CUcontext
AsContext(uint64_t context)
{
  return reinterpret_cast<CUcontext>(context);
}

// The driver may wait where a thread can be cancelled. A call of the scheduler's
// own must not end there: what it keeps account of would stay halfway.
class Uncancelled {
 public:
  Uncancelled() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~Uncancelled() { pthread_setcancelstate(before_, nullptr); }
  Uncancelled(const Uncancelled&) = delete;
  Uncancelled& operator=(const Uncancelled&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

Progress
AsProgress(CUresult result)
{
  return result == kCudaSuccess         ? Progress::kDone
         : result == kCudaErrorNotReady ? Progress::kBusy
                                        : Progress::kFailed;
}

}  // namespace

CudaHardware*
CudaHardware::Get()
{
  static CudaHardware* hardware = new CudaHardware;
  return hardware;
}

Progress
CudaHardware::QueryStream(uint64_t stream, uint64_t context)
{
  const Uncancelled uncancelled;
  ContextScope scope(AsContext(context));
  return Captures::Includes(AsStream(stream))
             ? Progress::kUnasked
             : AsProgress(real::cuStreamQuery(AsStream(stream)));
}

void
CudaHardware::Refused(uint64_t)
{
  const Uncancelled uncancelled;
  Captures::Get().Recheck();
}

bool
CudaHardware::Synchronize(uint64_t stream, uint64_t context)
{
  // While it is captured, the driver would refuse, and end the capture.
  if (Captures::Includes(AsStream(stream))) {
    return false;
  }
  ContextScope scope(AsContext(context));
  return real::cuStreamSynchronize(AsStream(stream)) == kCudaSuccess;
}

void*
CudaHardware::CreateEvent(EventKind kind, uint64_t context)
{
  const Uncancelled uncancelled;
  CUevent event = nullptr;
  ContextScope scope(AsContext(context));
  return real::cuEventCreate(
             &event,
             kind == EventKind::kTimed ? kEventDefault : kEventDisableTiming) ==
                 kCudaSuccess
             ? event
             : nullptr;
}

bool
CudaHardware::RecordEvent(void* event, uint64_t stream, uint64_t context)
{
  const Uncancelled uncancelled;
  // A default stream is another one in each context.
  ContextScope scope(AsContext(context));
  // In a capture it would become part of the graph.
  return !Captures::Includes(AsStream(stream)) &&
         real::cuEventRecord(static_cast<CUevent>(event), AsStream(stream)) ==
             kCudaSuccess;
}

Progress
CudaHardware::QueryEvent(void* event, uint64_t context)
{
  const Uncancelled uncancelled;
  ContextScope scope(AsContext(context));
  return AsProgress(real::cuEventQuery(static_cast<CUevent>(event)));
}

int64_t
CudaHardware::ElapsedNs(void* from, void* to, uint64_t context)
{
  const Uncancelled uncancelled;
  ContextScope scope(AsContext(context));
  float milliseconds = -1;
  if (real::cuEventElapsedTime(
          &milliseconds, static_cast<CUevent>(from),
          static_cast<CUevent>(to)) != kCudaSuccess) {
    return -1;
  }
  return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
}

std::string
CudaHardware::NameOf(int device)
{
  CUuuid uuid = {};
  // The second one tells the parts of a divided GPU (MIG) from each other, which
  // do not compete.
  if (real::cuDeviceGetUuid_v2(&uuid, device) != kCudaSuccess &&
      real::cuDeviceGetUuid(&uuid, device) != kCudaSuccess) {
    return "";
  }
  std::string name = "gpu-";
  for (const char each : uuid.bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(each);
    name += kDigits[byte >> 4];
    name += kDigits[byte & 15];
  }
  return name;
}

int
CudaHardware::EnterCalls()
{
  int mode = kCaptureModeRelaxed;
  return real::cuThreadExchangeStreamCaptureMode(&mode) == kCudaSuccess ? mode
                                                                        : -1;
}

void
CudaHardware::LeaveCalls(int state)
{
  if (state >= 0) {
    real::cuThreadExchangeStreamCaptureMode(&state);
  }
}

}  // namespace xsched
