#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Tests our addition to the TensorRT backend, without that backend and without a
# GPU: plain, under ThreadSanitizer, and under AddressSanitizer with UBSan.
#   usage: run.sh [plain|thread|address]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Each patch is well-formed, and adds exactly the files in src/ to the build.
for patch in "$PWD"/trt-backend-*-xsched.patch; do
  git apply --numstat "$patch" >/dev/null
  diff <(sed -n 's|^+ *\(src/[a-z_]*\.[a-z]*\)$|\1|p' "$patch" | sort) <(find src -type f | sort)
  printf '%s: well-formed, and the sources are there\n' "${patch##*/}"
done

# shellcheck source=native/run-tests.sh
. ../run-tests.sh
run_tests tensorrt_backend/tests "$@"
