#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the XSched core and runs its tests on the simulated driver: plain,
# under ThreadSanitizer, and under AddressSanitizer with UBSan. With the plain
# tests, it also tests the installed package and what it needs of the C library,
# compares the shim with the toolkits' headers, looks whether the mutations can
# still be made, and tests what stops programs for soak.sh, and the benchmark of
# processes.
#   usage: run.sh [plain|thread|address]...
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# shellcheck source=native/run-tests.sh
. "$tests/../../run-tests.sh"
run_tests xsched/tests "$@"
[[ $# -eq 0 || " $* " == *" plain "* ]] || exit 0

# The installed package, moved elsewhere and used as by an integration.
installed=$BUILDS/installed package=$BUILDS/package integration=$BUILDS/integration
rm -rf "$installed" "$package" "$integration"
driver=$(bash "$tests/../../package.sh" "$installed")
{
  mv "$installed" "$package" &&
    cmake -S "$tests/integration" -B "$integration" -DCMAKE_PREFIX_PATH="$package" &&
    cmake --build "$integration"
} >"$BUILDS/integration.log" 2>&1 || { cat "$BUILDS/integration.log" >&2; exit 1; }
"$integration/integration"
"$package/bin/xsched-ctl" --version
printf 'package: found, linked and called from another project\n'
python3 -B "$tests/mutations/run.py" --check
python3 -B "$tests/exports.py" "$package"
python3 -B "$tests/c_library.py" "$package"
python3 -B "$tests/stop_at_random_test.py"
LD_LIBRARY_PATH=$package/lib python3 -B "$tests/python_bindings.py" "$package" "$driver"
python3 -B "$tests/bench/processes_test.py" "$package/lib" "$driver"
python3 -B "$tests/xsched_run_test.py" "$package" "$driver"
bash "$tests/headers/run.sh" "$package/lib/libcuda.so.1"
