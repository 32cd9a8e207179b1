# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks that the installed libraries export their interface and no more.

usage: exports.py INSTALLED
"""

import pathlib
import re
import subprocess
import sys

# Declared in which headers, exported by which library.
INTERFACES = {
    "libpreempt.so": ["xqueue.h", "hint.h", "ext.h"],
    "libhalcuda.so": ["cuda/hal.h"],
}
# Names of the private part: functions, types and variables of the namespace.
PRIVATE = re.compile(r"_Z(N|NK|TIN|TSN|TVN)6xsched\w+@@XSCHED_PRIVATE")


def declared(headers):
    text = "\n".join(header.read_text() for header in headers)
    text = re.sub(r"//.*|/\*.*?\*/", "", text)
    return set(re.findall(r"^\w[\w ]*?[ *](\w+)\s*\([^;{]*\);", text, flags=re.M))


def exported(library):
    nm = ["nm", "--dynamic", "--defined-only", "--with-symbol-versions", "--format=posix", library]
    lines = subprocess.run(nm, check=True, capture_output=True, text=True).stdout.splitlines()
    # The version itself is a symbol, too.
    return {line.split()[0] for line in lines if line.split()[1] != "A"}


def main(installed):
    faults = []
    for name, headers in INTERFACES.items():
        interface = declared(installed / "include/xsched" / header for header in headers)
        if not interface:
            faults.append(f"{name}: no function is declared in {', '.join(headers)}")
        symbols = exported(installed / "lib" / name)
        private = {symbol for symbol in symbols if PRIVATE.fullmatch(symbol)}
        for symbol in sorted(interface - symbols):
            faults.append(f"{name} does not export {symbol}")
        for symbol in sorted(symbols - private - interface):
            faults.append(f"{name} exports {symbol}, which no header declares")
        print(f"{name}: {len(interface)} functions, and {len(private)} symbols for this package's libraries")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
