# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares the shim with the headers of CUDA toolkits. run.sh calls it.

usage: check.py LIBRARY HEADERS
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "shim"))
import rows as shim  # noqa: E402

# The first version with 64-bit device addresses. No program that can run here
# uses a function that was replaced before it.
FIRST_64_BIT = 3020
INTERFACES = ["cuda.h", "cudaEGL.h", "cudaGL.h", "cudaVDPAU.h"]
COMPILER = os.environ.get("CXX", "c++")

faults = []


def expect_none(names, fault):
    if names:
        faults.append(f"{fault}: {', '.join(sorted(names))}")


def without_comments(path):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8", errors="replace"), flags=re.S)
    # The header defines these few itself; the driver does not export them.
    return re.sub(r"static inline CUresult \w+\(.*?\n}\n#define.*?\n", "", text, flags=re.S)


class Toolkit:
    def __init__(self, folder):
        (header,) = folder.glob("nvidia/*/include/cuda.h")
        self.include = header.parent
        self.version = folder.name
        texts = [without_comments(self.include / name) for name in INTERFACES]
        self.symbols = set()
        # The parameters of each declared symbol.
        self.parameters = {}
        for text in texts:
            for name, parameters in re.findall(r"\bCUDAAPI\s+(cu[A-Z]\w*)\s*\(([^;]*)\);", text):
                self.symbols.add(name)
                self.parameters[name] = parameters
            renamed = r"#define\s+cu\w+\s+(?:__CUDA_API_(PTDS|PTSZ)\()?(cu[A-Z]\w*)"
            for kind, name in re.findall(renamed, text):
                self.symbols.add(name)
                if kind:
                    self.symbols.add(f"{name}_{kind.lower()}")
        # (name, version, suffix) of every PFN_cuName_v1234_ptsz.
        self.typed = set()
        for path in self.include.glob("cuda*Typedefs.h"):
            versions = r"\bPFN_(cu\w+?)_v(\d+)(_ptsz|_ptds)?\)"
            for name, version, suffix in re.findall(versions, without_comments(path)):
                self.typed.add((name, int(version), suffix))
                self.symbols.add(name)
        # The declarations that a program sees when it asks for all versions.
        source = "#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n"
        command = [COMPILER, "-E", "-P", "-x", "c++", f"-I{self.include}", "-"]
        preprocessed = subprocess.run(
            command, input=source, capture_output=True, text=True, check=True
        ).stdout
        self.declared = set(re.findall(r"\bCUresult\s+(cu[A-Z]\w*)\s*\(", preprocessed))


def suffix_of(row):
    return row.symbol[-5:] if row.per_thread else ""


def version_of(row):
    """The parts of the name of the row's PFN_ type in cudaTypedefs.h."""
    return shim.base_name(row.symbol), row.since, suffix_of(row)


def check_symbols(toolkits, symbols):
    lines = (HERE / "driver_symbols.txt").read_text(encoding="utf-8").splitlines()
    known = {line for line in lines if not line.startswith("#")}.union(
        *(toolkit.symbols for toolkit in toolkits)
    )
    expect_none(known - symbols, "missing in symbols.txt")
    expect_none(symbols - known, "in symbols.txt, but in no driver")


def check_exports(library, symbols):
    output = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    ).stdout
    # The sanitizers export symbols of their own.
    exported = {line.split()[2] for line in output.splitlines() if not line.split()[2].startswith("__")}
    expect_none(symbols - exported, "not exported by the shim")
    own = {"xsched_shim_version", "xsched_shim_driver"}
    expect_none(exported - symbols - own, "exported by the shim, but not by the driver")


def check_versions(toolkits, rows):
    typed = set().union(*(toolkit.typed for toolkit in toolkits))
    unknown = {f"{row.symbol} since {row.since}" for row in rows if version_of(row) not in typed}
    expect_none(unknown, "with a version that no toolkit's cudaTypedefs.h has")
    for key in {(shim.base_name(row.symbol), suffix_of(row)) for row in rows}:
        of_key = [row for row in rows if (shim.base_name(row.symbol), suffix_of(row)) == key]
        versions, names = [row.since for row in of_key], [row.symbol for row in of_key]
        if versions != sorted(set(versions)) or names != sorted(names):
            faults.append(f"{key[0]}{key[1]}: not sorted by version")
        missing = {version for name, version, suffix in typed if (name, suffix) == key} - set(versions)
        expect_none(
            {str(version) for version in missing if version >= FIRST_64_BIT},
            f"versions of {key[0]}{key[1]} missing from the tables",
        )


def check_coverage(toolkits, rows):
    text = (ROOT / "shim" / "forwarded.txt").read_text(encoding="utf-8")
    patterns = re.findall(r"^(cu.*)$", text, re.M)
    forwarded = re.compile("(" + "|".join(patterns) + ")(_ptsz|_ptds)?$")
    relevant = {
        symbol
        for toolkit in toolkits
        for symbol, parameters in toolkit.parameters.items()
        if re.search(r"\bCUstream\s+\w+", parameters)
        or re.match(r"cuMem(Alloc|Free|Host(Alloc|Free)|cpy|set)", symbol)
    }
    declared = set().union(*(toolkit.symbols for toolkit in toolkits))
    twins = {symbol for symbol in declared if re.sub(r"_pt[sd][sz]$", "", symbol) in relevant}
    intercepted = {row.symbol for row in rows}
    expect_none(
        {symbol for symbol in relevant | twins if symbol not in intercepted and not forwarded.match(symbol)},
        "neither in a table nor in forwarded.txt",
    )
    expect_none(
        {row.symbol for row in rows if forwarded.match(row.symbol)}, "in a table and in forwarded.txt"
    )
    for pattern in patterns:
        if not any(re.fullmatch(f"({pattern})(_ptsz|_ptds)?", symbol) for symbol in relevant | twins):
            faults.append(f"forwarded.txt: {pattern} matches no function")


def check_declarations(toolkit, rows):
    functions = (ROOT / "src/cuda/functions.h").read_text(encoding="utf-8")
    calls = re.findall(r"XSCHED_DRIVER_FUNCTION\(\s*(\w+)", functions)
    declared = [row for row in rows if row.symbol in toolkit.declared]
    lines = [f"CHECK_ROW({row.symbol});" for row in declared]
    lines += [f"CHECK_CALL({name});" for name in calls if name in toolkit.declared]
    for row in declared:
        if version_of(row) in toolkit.typed:
            name, since, suffix = version_of(row)
            lines.append(f"CHECK_SINCE({row.symbol}, PFN_{name}_v{since}{suffix});")
    with tempfile.TemporaryDirectory() as folder:
        checks = pathlib.Path(folder) / "checks.inc"
        checks.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = pathlib.Path(folder) / "abi_check"
        command = [
            COMPILER,
            "-std=c++17",
            "-Wall",
            "-Wextra",
            f'-DCHECKS="{checks}"',
            f"-isystem{toolkit.include}",
        ]
        command += [f"-I{ROOT}{folder}" for folder in ("", "/src", "/include")]
        command += [str(HERE / "abi_check.cc"), "-o", str(program)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            if subprocess.run([program], check=False).returncode != 0:
                faults.append(f"against CUDA {toolkit.version}: the handles of the default streams differ")
        else:
            messages = re.findall(r"static assertion failed: (.*)", result.stderr)
            faults.append(f"against CUDA {toolkit.version}: " + ("; ".join(messages) or result.stderr))
    return {row.symbol for row in declared}, len(lines)


def main():
    library, folder = sys.argv[1:]
    toolkits = [
        Toolkit(path) for path in sorted(pathlib.Path(folder).iterdir()) if (path / "nvidia").is_dir()
    ]
    try:
        symbols, rows = set(shim.read_symbols()), shim.read_rows()
    except shim.TableError as error:
        sys.exit(f"headers: {error}")
    check_symbols(toolkits, symbols)
    check_exports(library, symbols)
    check_versions(toolkits, rows)
    check_coverage(toolkits, rows)
    compared = set()
    for toolkit in toolkits:
        declared, checks = check_declarations(toolkit, rows)
        compared |= declared
        print(
            f"headers: CUDA {toolkit.version}: {len(declared)} of {len(rows)} functions, {checks} comparisons"
        )
    expect_none({row.symbol for row in rows} - compared, "declared by no toolkit")
    for fault in faults:
        print(f"headers: {fault}", file=sys.stderr)
    print(f"headers: {len(symbols)} symbols, {len(faults)} faults")
    sys.exit(1 if faults or not toolkits else 0)


main()
