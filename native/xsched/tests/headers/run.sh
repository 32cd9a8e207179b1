#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Compares the shim's tables and its list of symbols, and what the built shim
# exports, with the headers of several CUDA toolkits. The headers come from
# PyPI and stay in build/headers.
#   usage: run.sh LIBRARY (the built libshimcuda.so)
set -euo pipefail
library=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

wheels=build/headers/wheels
# Unpacked anew when the pinned versions change.
stamp=build/headers/$(sha256sum tests/headers/requirements.txt | cut -c 1-16)
if [ ! -e "$stamp" ]; then
  rm -rf build/headers
  mkdir -p "$wheels"
  if ! python3 -m pip --version >/dev/null 2>&1; then
    printf 'headers: python3 has no pip; install the package python3-pip\n' >&2
    exit 1
  fi
  if ! python3 -m pip download --quiet --disable-pip-version-check --retries 10 --no-deps --only-binary=:all: \
    --require-hashes --requirement tests/headers/requirements.txt --dest "$wheels" >build/headers/pip.log 2>&1; then
    cat build/headers/pip.log >&2
    printf 'headers: cannot download the CUDA headers that tests/headers/requirements.txt pins; %s\n' \
      'this test needs a network with a Python package index' >&2
    exit 1
  fi
  for wheel in "$wheels"/*.whl; do
    python3 -m zipfile -e "$wheel" "build/headers/$(basename "$wheel" | cut -d- -f2)"
  done
  touch "$stamp"
fi
python3 -B tests/headers/check.py "$library" build/headers
