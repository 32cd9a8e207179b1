#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the XSched core and runs its tests on the simulated driver: plain,
# under ThreadSanitizer, and under AddressSanitizer with UBSan. Then tests the
# installed package, and compares the shim with the toolkits' headers.
#   usage: run.sh [plain|thread|address]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=native/run-tests.sh
. ../run-tests.sh
run_tests . 'tests/*_test' "$@"

# The installed package, moved elsewhere, as an integration uses it.
rm -rf build/package build/moved build/integration
{
  cmake -S . -B build/package -DCMAKE_INSTALL_PREFIX="$PWD/build/package/installed" &&
    cmake --build build/package --parallel "$(nproc)" && cmake --install build/package &&
    mv build/package/installed build/moved &&
    cmake -S tests/integration -B build/integration -DCMAKE_PREFIX_PATH="$PWD/build/moved" &&
    cmake --build build/integration &&
    cmake -S . -B build/driver -DXSCHED_BUILD_TESTS=ON && cmake --build build/driver --target simulated_driver
} >build/integration.log 2>&1 || { cat build/integration.log >&2; exit 1; }
build/integration/integration
build/moved/bin/xsched-ctl --version
printf 'package: found, linked and called from another project\n'
python3 -B tests/exports.py build/moved
LD_LIBRARY_PATH=$PWD/build/moved/lib python3 -B tests/python_bindings.py build/moved \
  build/driver/tests/libsimulated_driver.so
bash tests/headers/run.sh build/moved/lib/libcuda.so.1
