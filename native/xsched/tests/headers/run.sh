#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Compares the shim's tables and its list of symbols, and what the built shim
# exports, with the headers of several CUDA toolkits. The headers come from
# PyPI and stay in the user's cache.
#   usage: run.sh LIBRARY (the built libshimcuda.so)
set -euo pipefail
library=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")"

# Under another name when the pinned versions change.
headers=${XDG_CACHE_HOME:-$HOME/.cache}/xsched-triton/cuda-headers-$(sha256sum requirements.txt | cut -c 1-16)
if [ ! -d "$headers" ]; then
  if ! python3 -m pip --version >/dev/null 2>&1; then
    printf 'headers: python3 has no pip; install the package python3-pip\n' >&2
    exit 1
  fi
  mkdir -p "$(dirname "$headers")"
  # Unpacked aside and renamed, so that two runs at once and an interrupted one
  # do no harm.
  staging=$(mktemp -d "$headers.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  if ! python3 -m pip download --quiet --disable-pip-version-check --retries 10 --no-deps --only-binary=:all: \
    --require-hashes --requirement requirements.txt --dest "$staging/wheels" >"$staging/pip.log" 2>&1; then
    cat "$staging/pip.log" >&2
    printf 'headers: cannot download the CUDA headers that tests/headers/requirements.txt pins; %s\n' \
      'this test needs a network with a Python package index' >&2
    exit 1
  fi
  for wheel in "$staging"/wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "$staging/$(basename "$wheel" | cut -d- -f2)"
  done
  rm -r "$staging/wheels" "$staging/pip.log"
  mv -T "$staging" "$headers" 2>/dev/null || [ -d "$headers" ]
fi
python3 -B check.py "$library" "$headers"
