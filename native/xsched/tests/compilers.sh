#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the core and the hooks for Triton with every GCC (9 or later) and Clang
# that it finds, with warnings as errors, and loads the results. Prints one line
# per compiler; the plain tests' compiler has built them already, so it builds the
# core as the image does, with each library as one source.
#   usage: compilers.sh [COMPILER]... (instead of those on the PATH)
set -euo pipefail
# shellcheck source=native/run-tests.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../run-tests.sh"
build_kind plain
default=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$BUILDS/plain/CMakeCache.txt")
default=$(realpath "$(command -v "$default")")

# Each compiler once, under its first name.
compilers() {
  local folder name
  for name in g++ clang++ "$@"; do
    command -v "$name" || true
  done
  for folder in ${PATH//:/ }; do
    find "$folder" -maxdepth 1 -regextype posix-extended -regex '.*/(g|clang)\+\+-[0-9]+' 2>/dev/null || true
  done | sort -V
}

failed=0
declare -A seen=()
while IFS= read -r compiler; do
  program=$(realpath "$compiler")
  [ -z "${seen[$program]:-}" ] || continue
  seen[$program]=yes
  version=$("$compiler" --version | head -n 1)
  case $program in
    *clang*) ;;
    *) [ "$("$compiler" -dumpversion | cut -d. -f1)" -ge 9 ] || continue ;;
  esac
  directory=$BUILDS/compiler-$(printf %s "$program" | sha256sum | cut -c 1-8)
  shim=$directory/xsched/libshimcuda.so
  sources=$NATIVE options=()
  if [ "$program" = "$default" ]; then
    sources=$NATIVE/xsched shim=$directory/libshimcuda.so
    options=(-DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0)
  fi
  rm -rf "$directory"
  {
    cmake -S "$sources" -B "$directory" -DXSCHED_BUILD_TESTS=OFF "${options[@]}" \
      "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_ASM_COMPILER=$compiler" &&
      cmake --build "$directory" --parallel "$(nproc)"
  } >"$directory.log" 2>&1 || shim=
  if [ -n "$shim" ] &&
    python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1]).cuInit' "$shim" >>"$directory.log" 2>&1; then
    printf 'compilers: %s: built without a warning\n' "$version"
  else
    failed=1
    printf 'compilers: %s: failed\n' "$version"
    cat "$directory.log" >&2
  fi
done < <(compilers "$@")
if [ ${#seen[@]} -eq 0 ]; then
  printf 'compilers: found neither g++ nor clang++\n' >&2
  exit 1
fi
exit $failed
