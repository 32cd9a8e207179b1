# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""The XSched C interface for Python, with the names of XSched 1.2's bindings.

What a function stores in C it returns here, behind its result: ``result, queue = XSched.XQueueCreate(...)``.
The libraries are found as the dynamic loader finds any: with their folder in LD_LIBRARY_PATH.
"""

import ctypes
from enum import IntEnum

XDevice = XDeviceId = XQueueHandle = HwQueueHandle = HwCommandHandle = int


class XResult(IntEnum):
    kXSchedSuccess = 0
    kXSchedErrorHardware = 1
    kXSchedErrorInvalidValue = 2
    kXSchedErrorNotFound = 3
    kXSchedErrorNotAllowed = 4
    kXSchedErrorNotSupported = 5
    kXSchedErrorBadResponse = 6
    kXSchedErrorUnknown = 999


class XPlatform(IntEnum):
    kPlatformUnknown = 0
    kPlatformVPI = 1
    kPlatformCUDA = 2
    kPlatformCUDLA = 3
    kPlatformHIP = 4
    kPlatformAscend = 5
    kPlatformOpenCL = 6
    kPlatformLevelZero = 7


class XDeviceType(IntEnum):
    kDeviceTypeUnknown = 0
    kDeviceTypeCPU = 1
    kDeviceTypeGPU = 2
    kDeviceTypeNPU = 3
    kDeviceTypeFPGA = 4
    kDeviceTypeASIC = 5
    kDeviceTypeMCA = 6


class XPreemptLevel(IntEnum):
    kPreemptLevelUnknown = 0
    kPreemptLevelBlock = 1
    kPreemptLevelDeactivate = 2
    kPreemptLevelInterrupt = 3
    kPreemptLevelMax = 4


class XQueueState(IntEnum):
    kQueueStateUnknown = 0
    kQueueStateIdle = 1
    kQueueStateReady = 2


class XQueueFeature(IntEnum):
    kQueueFeatureNone = 0x0000
    kQueueFeatureAsyncSubmit = 0x0001
    kQueueFeatureDynamicLevel = 0x0002
    kQueueFeatureDynamicThreshold = 0x0004
    kQueueFeatureDynamicBatchSize = 0x0008
    kQueueFeatureSyncSuspend = 0x0010
    kQueueFeatureResumeDropCommands = 0x0020
    kQueueFeatureMaskAll = -1


class XQueueCreateFlag(IntEnum):
    kQueueCreateFlagNone = 0x0000
    kQueueCreateFlagBlockingSubmit = 0x0001
    kQueueCreateFlagMaskAll = -1


class XQueueSuspendFlag(IntEnum):
    kQueueSuspendFlagNone = 0x0000
    kQueueSuspendFlagSyncHwQueue = 0x0001
    kQueueSuspendFlagWaitAll = 0x0002
    kQueueSuspendFlagWaitIdle = 0x0004
    kQueueSuspendFlagMaskAll = -1


class XQueueResumeFlag(IntEnum):
    kQueueResumeFlagNone = 0x0000
    kQueueResumeFlagDropCommands = 0x0001
    kQueueResumeFlagMaskAll = -1


class XSchedulerType(IntEnum):
    kSchedulerUnknown = 0
    kSchedulerAppManaged = 1
    kSchedulerLocal = 2
    kSchedulerGlobal = 3
    kSchedulerMax = 4


class XPolicyType(IntEnum):
    kPolicyUnknown = 0
    kPolicyHighestPriorityFirst = 1
    kPolicyHeterogeneousHighestPriorityFirst = 2
    kPolicyCPUHighestPriorityFirst = 3
    kPolicyUtilizationPartition = 4
    kPolicyProcessUtilizationPartition = 5
    kPolicyStrictProcessUtilizationPartition = 6
    kPolicyKEarliestDeadlineFirst = 7
    kPolicyLaxity = 8
    kPolicyActiveWindowFirst = 9
    kPolicyCompletelyFairScheduler = 10
    kPolicyMultiLevelFeedbackQueue = 11
    kPolicyMax = 12


Priority = Utilization = Timeslice = Laxity = Deadline = int

PRIORITY_NO_EXECUTE = -256
PRIORITY_MIN = -255
PRIORITY_DEFAULT = 0
PRIORITY_MAX = 255

# Percent of the device.
UTILIZATION_MIN = 0
UTILIZATION_DEFAULT = 100
UTILIZATION_MAX = 100

# Microseconds.
TIMESLICE_MIN = 100
TIMESLICE_DEFAULT = 5000
TIMESLICE_MAX = 10000000
TIMESLICE_UNLIMITED = 2**64 - 1

NO_LAXITY = -1
NO_DEADLINE = -1

_handle = ctypes.c_uint64
_int32 = ctypes.c_int32
_int64 = ctypes.c_int64


def load(name):
    """Opens one of XSched's libraries.

    Raises RuntimeError if the dynamic loader does not find it.
    """
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise RuntimeError(f"cannot load {name}; is its folder in LD_LIBRARY_PATH? {error}") from error


def function(library, name, *parameters, stores=None, stores_first=False, as_type=int):
    """A C function as a static method.

    stores: the type of a second result, which it stores through its last parameter, or its first with
    stores_first; as_type: what that result is here.
    """
    call = library[name]
    call.restype = _int32
    if stores is None:
        call.argtypes = parameters
        return staticmethod(lambda *arguments: XResult(call(*arguments)))
    pointer = ctypes.POINTER(stores)
    call.argtypes = (pointer, *parameters) if stores_first else (*parameters, pointer)

    def with_result(*arguments):
        value = stores()
        place = ctypes.byref(value)
        result = call(place, *arguments) if stores_first else call(*arguments, place)
        return XResult(result), as_type(value.value)

    return staticmethod(with_result)


class XSched:
    """libpreempt.so: queues and hints."""

    _library = load("libpreempt.so")

    XQueueCreate = function(
        _library, "XQueueCreate", _handle, _int64, _int64, stores=_handle, stores_first=True
    )
    XQueueDestroy = function(_library, "XQueueDestroy", _handle)
    XQueueGet = function(_library, "XQueueGet", _handle, stores=_handle, stores_first=True)
    XQueueSetPreemptLevel = function(_library, "XQueueSetPreemptLevel", _handle, _int32)
    XQueueSetLaunchConfig = function(_library, "XQueueSetLaunchConfig", _handle, _int64, _int64)
    XQueueSubmit = function(_library, "XQueueSubmit", _handle, _handle)
    XQueueWait = function(_library, "XQueueWait", _handle, _handle)
    XQueueWaitAll = function(_library, "XQueueWaitAll", _handle)
    XQueueQuery = function(_library, "XQueueQuery", _handle, stores=_int32, as_type=XQueueState)
    XQueueSuspend = function(_library, "XQueueSuspend", _handle, _int64)
    XQueueResume = function(_library, "XQueueResume", _handle, _int64)
    XQueueProfileHwCommandCount = function(_library, "XQueueProfileHwCommandCount", _handle, stores=_int64)

    HwQueueDestroy = function(_library, "HwQueueDestroy", _handle)
    HwQueueLaunch = function(_library, "HwQueueLaunch", _handle, _handle)
    HwQueueSynchronize = function(_library, "HwQueueSynchronize", _handle)
    HwCommandDestroy = function(_library, "HwCommandDestroy", _handle)

    XHintSetScheduler = function(_library, "XHintSetScheduler", _int32, _int32)
    XHintPriority = function(_library, "XHintPriority", _handle, _int32)
    XHintUtilization = function(_library, "XHintUtilization", _handle, _int32)
    XHintTimeslice = function(_library, "XHintTimeslice", _int64)
    XHintLaxity = function(_library, "XHintLaxity", _handle, _int64, _int32, _int32)
    XHintDeadline = function(_library, "XHintDeadline", _handle, _int64)
    XHintKDeadline = function(_library, "XHintKDeadline", ctypes.c_size_t)
