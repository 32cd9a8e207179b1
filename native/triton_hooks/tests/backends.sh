#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the test's backends and lays them out in a folder, as Triton wants its
# --backend-directory.
#   usage: backends.sh FOLDER
set -euo pipefail

# shellcheck source=native/run-tests.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../run-tests.sh"
backends=(one_stream default_stream threads)
build_kind plain "${backends[@]/#/triton_}"
for backend in "${backends[@]}"; do
  install -D -t "$1/$backend" "$BUILDS/plain/triton_hooks/tests/libtriton_$backend.so"
done
