#!/bin/sh
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Ends the image's build if the base cannot load what the builder has compiled: a program asks for the versions of the C
# and C++ library that it was linked with, and an older library doesn't have them.
#   usage: check-libraries.sh FILE|FOLDER...
set -eu

# NVIDIA's images make each start of Bash, in which ldd is written, look for a GPU.
unset BASH_ENV
missing=$(find "$@" -type f -exec ldd {} + 2>&1 | sed -n "s/.*version \`\([^']*\)' not found (required by \([^)]*\)).*/  \2 needs \1/p" | sort -u)
[ -n "$missing" ] || exit 0
cat >&2 <<END
BUILDER has a newer C or C++ library than BASE, which cannot load what was compiled in it:
$missing
fix: set BUILDER (in a stack: runtime.build.builder) to an image with the libraries of BASE or older ones, such as the
image of Ubuntu that BASE is made of
END
exit 1
