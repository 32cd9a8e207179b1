#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Tests the hooks with a stand-in for Triton and the core's simulated driver:
# plain, under ThreadSanitizer, and under AddressSanitizer with UBSan.
# test/engine/hooks.test.ts tests them with a real Triton.
#   usage: run.sh [plain|thread|address]...
set -euo pipefail

# shellcheck source=native/run-tests.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../run-tests.sh"
run_tests triton_hooks/tests "$@"
