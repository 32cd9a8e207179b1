"""Prints EC2's instance types with NVIDIA GPUs on x86-64 that some region offers, as TypeScript.

The source is moto's copy of what EC2 answers to DescribeInstanceTypes and DescribeInstanceTypeOfferings, of the
version that the tests pin. To renew the table, raise that version in test/fixtures/aws/requirements.txt and run
`npm run generate:instances`.

With the folder of an installed moto as its argument, it needs no network.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS = ROOT / "test/fixtures/aws/requirements.txt"
TYPES = "ec2/resources/instance_types.json.gz"
OFFERINGS = "ec2/resources/instance_type_offerings/region"
# Sizes in the order of what they cost.
SIZES = ["nano", "micro", "small", "medium", "large", "xlarge"]


def pinned_moto(folder: Path) -> Path:
    text = REQUIREMENTS.read_text()
    requirement = re.search(r"^moto==.*(?:\n +--hash.*)+", text, re.MULTILINE)
    if requirement is None:
        sys.exit(f"{REQUIREMENTS} has no moto")
    (folder / "requirements.txt").write_text(requirement[0] + "\n")
    words = ["download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, "--dest", folder, "-r", folder / "requirements.txt"], check=True
    )
    [wheel] = folder.glob("moto-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder / "moto"


def read(file: Path) -> object:
    with gzip.open(file) as text:
        return json.load(text)


def size_order(size: str) -> "tuple[int, int, str]":
    multiple = re.fullmatch(r"(\d+)xlarge", size)
    if multiple:
        return len(SIZES), int(multiple[1]), size
    return (SIZES.index(size) if size in SIZES else len(SIZES) + 1), 0, size


def families(moto: Path) -> "dict[str, dict]":
    offered = {each["InstanceType"] for file in (moto / OFFERINGS).glob("*.json.gz") for each in read(file)}
    found: dict[str, dict] = {}
    for name, facts in read(moto / TYPES).items():
        gpus = facts.get("GpuInfo", {}).get("Gpus", [])
        is_fit = gpus and gpus[0]["Manufacturer"] == "NVIDIA"
        if (
            name not in offered
            or not is_fit
            or "x86_64" not in facts["ProcessorInfo"]["SupportedArchitectures"]
        ):
            continue
        family, size = name.split(".")
        # Of a fraction of a GPU, EC2 says that there are none.
        count = gpus[0]["Count"]
        new = {"gpu": gpus[0]["Name"], "whole": count > 0, "counts": set(), "sizes": []}
        entry = found.setdefault(family, new)
        entry["counts"].add(count)
        entry["sizes"].append(size)
    for entry in found.values():
        entry["counts"] = sorted(entry["counts"])
        entry["sizes"].sort(key=size_order)
    return dict(sorted(found.items()))


def main() -> None:
    version = re.search(r"^moto==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        moto = Path(sys.argv[1]) if len(sys.argv) > 1 else pinned_moto(Path(folder))
        table = families(moto)
    print(
        f"// What EC2 offers, by moto {version[1] if version else '?'}. Written by `npm run generate:instances`."
    )
    print("export const GPU_INSTANCES = {")
    for family, entry in table.items():
        sizes = ", ".join(json.dumps(size) for size in entry["sizes"])
        key = family if family.isidentifier() else json.dumps(family)
        facts = ", ".join(f"{fact}: {json.dumps(entry[fact])}" for fact in ("gpu", "whole", "counts"))
        print(f"  {key}: {{ {facts}, sizes: [{sizes}] }},")
    print("} as const;")


main()
