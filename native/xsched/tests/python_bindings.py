# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares the installed Python bindings with the C headers, and uses them on the simulated driver.

usage: python_bindings.py INSTALLED DRIVER, with INSTALLED/lib in LD_LIBRARY_PATH
"""

import ctypes
import os
import pathlib
import re
import sys

installed = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(installed / "lib/python"))
os.environ.update(XSCHED_CUDA_LIB=sys.argv[2], XSCHED_CONTROL="OFF", XSCHED_LOG_LEVEL="ERROR")

import xsched  # noqa: E402
from xsched import XPreemptLevel, XQueueState, XResult, XSched  # noqa: E402
from xsched.cuda import XSchedCuda  # noqa: E402

# Needs a function of the application; a C function pointer comes and goes with what made it.
LEFT_OUT = {"HwCommandCreateCallback"}


def text(header):
    return re.sub(r"//.*", "", (installed / "include/xsched" / header).read_text())


def check_types():
    types = text("types.h")
    enums = re.findall(r"typedef enum \{(.*?)\} (\w+);", types, flags=re.S)
    assert len(enums) > 10
    for body, name in enums:
        members = {}
        for member in filter(None, (part.strip() for part in body.split(","))):
            key, _, value = (part.strip() for part in member.partition("="))
            members[key] = int(value, 0) if value else max(members.values()) + 1
        found = {member.name: member.value for member in getattr(xsched, name)}
        assert found == members, name
    constants = dict(re.findall(r"#define ((?!XSCHED)\w+) (\S+)", types))
    assert len(constants) > 10
    for name, value in constants.items():
        expected = 2**64 - 1 if value == "UINT64_MAX" else int(value)
        assert getattr(xsched, name) == expected, name


def check_functions():
    declared = set(re.findall(r"XResult (\w+)\(", text("xqueue.h") + text("hint.h"))) - LEFT_OUT
    assert {name for name in vars(XSched) if name[0] != "_"} == declared
    declared = set(re.findall(r"XResult (\w+)\(", text("cuda/hal.h")))
    assert {name for name in vars(XSchedCuda) if name[0] != "_"} == declared


def check_use():
    ok = XResult.kXSchedSuccess
    cuda = ctypes.CDLL("libcuda.so.1")
    context, stream = ctypes.c_void_p(), ctypes.c_void_p()
    assert cuda.cuInit(0) == 0
    assert cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0) == 0
    assert cuda.cuStreamCreate(ctypes.byref(stream), 0) == 0
    result, hwq = XSchedCuda.CudaQueueCreate(stream.value)
    assert result == ok
    assert XSchedCuda.CudaQueueGet(stream.value) == (ok, hwq)
    result, queue = XSched.XQueueCreate(hwq, XPreemptLevel.kPreemptLevelBlock, 0)
    assert result == ok
    assert XSched.XQueueGet(hwq) == (ok, queue)
    assert XSched.XHintPriority(queue, xsched.PRIORITY_MAX) == ok
    assert XSched.XQueueQuery(queue) == (ok, XQueueState.kQueueStateIdle)
    assert XSched.XQueueProfileHwCommandCount(queue) == (ok, 0)
    assert XSched.XQueueSuspend(queue, 0) == ok
    assert XSched.XQueueResume(queue, 0) == ok
    assert XSched.XHintTimeslice(100) == XResult.kXSchedErrorNotSupported
    assert XSched.XQueueDestroy(queue) == ok
    assert XSched.XQueueDestroy(queue) == XResult.kXSchedErrorNotFound
    assert XSched.HwQueueDestroy(hwq) == ok


check_types()
check_functions()
check_use()
print("python: the bindings agree with the headers, and work")
