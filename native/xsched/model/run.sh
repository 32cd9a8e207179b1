#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Checks the protocol of scheduling domains, domain.pml, with spin; and that the
# model notices when one of its rules is broken.
#   usage: run.sh
set -euo pipefail
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/domain.pml

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# explore OPTIMIZATION DEFINITION...: explores all states, and prints how many
# there are and how many errors. To optimize takes longer than to explore less
# than half a million states.
explore() {
  local optimization=$1
  shift
  spin "$@" -a "$model" >spin.log || { cat spin.log >&2; return 1; }
  gcc "$optimization" -w -DSAFETY -DCOLLAPSE -o pan pan.c
  ./pan -m200000 >pan.log
  awk '/errors:/ { errors = $NF } /states, stored/ { states = $1 }
    END { print states, errors }' pan.log
}

# expect NAME ERRORS DEFINITION...: 'none' or 'some' errors.
expect() {
  local name=$1 wanted=$2 states errors
  shift 2
  read -r states errors <<<"$(explore "$optimization" "$@")"
  printf '%s: %s states, %s errors\n' "$name" "$states" "$errors"
  if [ "$wanted" = none ]; then
    [ "$errors" = 0 ] || { cat pan.log >&2; return 1; }
  else
    [ "$errors" != 0 ] || { printf 'the model misses it\n' >&2; return 1; }
  fi
}

optimization=-O0
expect 'two processes, twice' none -DN=2 -DROUNDS=2
expect 'one of two has a floor, twice' none -DN=2 -DROUNDS=2 -DFLOORED=1
expect 'both have floors, twice' none -DN=2 -DROUNDS=2 -DFLOORED=2
optimization=-O2
expect 'three processes' none -DN=3 -DROUNDS=1
expect 'two of three have floors' none -DN=3 -DROUNDS=1 -DFLOORED=2
expect 'the third has work without end' none -DN=3 -DROUNDS=1 -DFLOORED=2 -DSTAYS=1
optimization=-O0
expect 'broken: top is replaced only if it changes' some -DN=3 -DMUTATION=1
expect 'broken: top is replaced whatever it is' some -DN=2 -DROUNDS=2 -DMUTATION=2
expect 'broken: waits is written after the look' some -DN=2 -DROUNDS=2 -DMUTATION=3
expect 'broken: nobody is rung' some -DN=2 -DROUNDS=2 -DMUTATION=4
expect 'broken: who has the slice does not keep it' some -DN=2 -DROUNDS=2 -DFLOORED=2 -DMUTATION=5
expect 'broken: who wants the slice is not rung' some -DN=3 -DROUNDS=1 -DFLOORED=2 -DSTAYS=1 -DMUTATION=6
expect 'broken: who is rung does not take the slice' some -DN=2 -DROUNDS=2 -DFLOORED=2 -DMUTATION=7
