# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks that the sources need no function that the oldest supported C library lacks.

An image compiles them in its builder, against that one's C library, so the versions of symbols that this machine's
libraries need say nothing about an image. The functions do: each of them must have been there in glibc 2.31 and in the
libstdc++ of GCC 10, Ubuntu 20.04's, if only in another library or under another version.

usage: c_library.py INSTALLED
"""

import pathlib
import re
import subprocess
import sys

OLDEST = {"GLIBC": (2, 31), "GLIBCXX": (3, 4, 28), "CXXABI": (1, 3, 12)}
# Functions that have got a new version since, and are older themselves.
OLDER = {
    # From libpthread and libdl to libc: glibc's NEWS for 2.32 to 2.34.
    *("pthread_create", "pthread_detach", "pthread_setname_np", "pthread_sigmask", "pthread_testcancel"),
    *("pthread_timedjoin_np", "pthread_join", "pthread_once", "pthread_cancel", "pthread_kill"),
    *("dladdr", "dlclose", "dlerror", "dlinfo", "dlopen", "dlsym", "dlvsym"),
    # Before 2.33 they were inline functions of the headers, on top of others.
    *("stat", "fstat", "lstat", "fstatat"),
    "__libc_start_main",
    # Called by code that newer compilers make of operator new[].
    "_ZSt28__throw_bad_array_new_lengthv",
}


def too_new(symbols):
    """Of the lines of `objdump -T`, the functions that the oldest C library lacks, with their versions."""
    found = []
    for line in symbols:
        match = re.search(r"\*UND\*.*\(?\b(GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)?\s+(\S+)$", line)
        if not match:
            continue
        library, version, name = match.groups()
        if tuple(map(int, version.split("."))) > OLDEST[library] and name not in OLDER:
            found.append(f"{name} of {library}_{version}")
    return found


def main(installed):
    files = [*sorted({path.resolve() for path in installed.glob("lib/*.so*")}), installed / "bin/xsched-ctl"]
    assert too_new(["0 DF *UND* 0 (GLIBC_2.38) __isoc23_strtol"]), "the check cannot fail"
    faults = []
    for path in files:
        dump = subprocess.run(["objdump", "-T", path], check=True, capture_output=True, text=True).stdout
        assert "*UND*" in dump, path
        faults += [f"{path.name} needs {name}" for name in too_new(dump.splitlines())]
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        return 1
    print(f"C library: {len(files)} files need nothing newer than glibc 2.31 and GCC 10 have")
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
