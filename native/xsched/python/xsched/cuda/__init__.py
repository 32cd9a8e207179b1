# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""CUDA streams as hardware queues; a stream is its handle, as an integer."""

import ctypes

from xsched import function, load

CUstream = int


class XSchedCuda:
    """libhalcuda.so."""

    _library = load("libhalcuda.so")

    CudaQueueCreate = function(
        _library, "CudaQueueCreate", ctypes.c_void_p, stores=ctypes.c_uint64, stores_first=True
    )
    CudaQueueGet = function(
        _library, "CudaQueueGet", ctypes.c_void_p, stores=ctypes.c_uint64, stores_first=True
    )
