// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
// The types of XSched 1.2's C interface, with the same names and values, so
// that an integration written for XSched builds and links unchanged.

#ifndef XSCHED_TYPES_H_
#define XSCHED_TYPES_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t XDevice;
typedef uint32_t XDeviceId;
typedef uint64_t XQueueHandle;
typedef uint64_t HwQueueHandle;
typedef uint64_t HwCommandHandle;

typedef enum {
  kXSchedSuccess = 0,
  kXSchedErrorHardware = 1,
  kXSchedErrorInvalidValue = 2,
  kXSchedErrorNotFound = 3,
  kXSchedErrorNotAllowed = 4,
  kXSchedErrorNotSupported = 5,
  kXSchedErrorBadResponse = 6,
  kXSchedErrorUnknown = 999
} XResult;

typedef enum {
  kPlatformUnknown = 0,
  kPlatformVPI = 1,
  kPlatformCUDA = 2,
  kPlatformCUDLA = 3,
  kPlatformHIP = 4,
  kPlatformAscend = 5,
  kPlatformOpenCL = 6,
  kPlatformLevelZero = 7
} XPlatform;

typedef enum {
  kDeviceTypeUnknown = 0,
  kDeviceTypeCPU = 1,
  kDeviceTypeGPU = 2,
  kDeviceTypeNPU = 3,
  kDeviceTypeFPGA = 4,
  kDeviceTypeASIC = 5,
  kDeviceTypeMCA = 6
} XDeviceType;

typedef enum {
  kPreemptLevelUnknown = 0,
  kPreemptLevelBlock = 1,
  kPreemptLevelDeactivate = 2,
  kPreemptLevelInterrupt = 3,
  kPreemptLevelMax
} XPreemptLevel;

typedef enum {
  kQueueStateUnknown = 0,
  kQueueStateIdle = 1,
  kQueueStateReady = 2
} XQueueState;

typedef enum {
  kQueueFeatureNone = 0x0000,
  kQueueFeatureAsyncSubmit = 0x0001,
  kQueueFeatureDynamicLevel = 0x0002,
  kQueueFeatureDynamicThreshold = 0x0004,
  kQueueFeatureDynamicBatchSize = 0x0008,
  kQueueFeatureSyncSuspend = 0x0010,
  kQueueFeatureResumeDropCommands = 0x0020,
  kQueueFeatureMaskAll = -1
} XQueueFeature;

typedef enum {
  kQueueCreateFlagNone = 0x0000,
  kQueueCreateFlagBlockingSubmit = 0x0001,
  kQueueCreateFlagMaskAll = -1
} XQueueCreateFlag;

typedef enum {
  kQueueSuspendFlagNone = 0x0000,
  kQueueSuspendFlagSyncHwQueue = 0x0001,
  kQueueSuspendFlagWaitAll = 0x0002,
  kQueueSuspendFlagWaitIdle = 0x0004,
  kQueueSuspendFlagMaskAll = -1
} XQueueSuspendFlag;

typedef enum {
  kQueueResumeFlagNone = 0x0000,
  kQueueResumeFlagDropCommands = 0x0001,
  kQueueResumeFlagMaskAll = -1
} XQueueResumeFlag;

typedef enum {
  kSchedulerUnknown = 0,
  kSchedulerAppManaged = 1,
  kSchedulerLocal = 2,
  kSchedulerGlobal = 3,
  kSchedulerMax
} XSchedulerType;

typedef enum {
  kPolicyUnknown = 0,
  kPolicyHighestPriorityFirst = 1,
  kPolicyHeterogeneousHighestPriorityFirst = 2,
  kPolicyCPUHighestPriorityFirst = 3,
  kPolicyUtilizationPartition = 4,
  kPolicyProcessUtilizationPartition = 5,
  kPolicyStrictProcessUtilizationPartition = 6,
  kPolicyKEarliestDeadlineFirst = 7,
  kPolicyLaxity = 8,
  kPolicyActiveWindowFirst = 9,
  kPolicyCompletelyFairScheduler = 10,
  kPolicyMultiLevelFeedbackQueue = 11,
  kPolicyMax
} XPolicyType;

typedef XResult (*LaunchCallback)(HwQueueHandle, void*);

// Priority: larger is more urgent. Range PRIORITY_MIN to PRIORITY_MAX;
// PRIORITY_NO_EXECUTE holds every launch of the queue back.
typedef int32_t Priority;
#define PRIORITY_NO_EXECUTE -256
#define PRIORITY_MIN -255
#define PRIORITY_DEFAULT 0
#define PRIORITY_MAX 255

// Utilization: percent of the device.
typedef int32_t Utilization;
#define UTILIZATION_MIN 0
#define UTILIZATION_DEFAULT 100
#define UTILIZATION_MAX 100

// Timeslice, laxity and deadline: microseconds.
typedef int64_t Timeslice;
#define TIMESLICE_MIN 100
#define TIMESLICE_DEFAULT 5000
#define TIMESLICE_MAX 10000000
#define TIMESLICE_UNLIMITED UINT64_MAX

typedef int64_t Laxity;
#define NO_LAXITY -1

typedef int64_t Deadline;
#define NO_DEADLINE -1

#ifdef __cplusplus
}
#endif

#endif  // XSCHED_TYPES_H_
