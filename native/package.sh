#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the core and the hooks as the plain tests do, and installs them in a
# folder. Prints the path of the simulated driver, for machines without a GPU.
#   usage: package.sh FOLDER
set -euo pipefail

# shellcheck source=native/run-tests.sh
. "$(dirname "${BASH_SOURCE[0]}")/run-tests.sh"
build_kind plain preempt halcuda shimcuda xsched-ctl xsched-run xsched_triton_hooks simulated_driver
cmake --install "$BUILDS/plain" --prefix "$1" >/dev/null
printf '%s\n' "$BUILDS/plain/xsched/tests/libsimulated_driver.so"
