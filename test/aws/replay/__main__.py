"""Checks what the stacks ask of AWS: scripts/test/aws.mjs says how it is run.

usage: python3 -m replay [--write] [--cloud-init SCHEMA] DUMP
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

# Before moto is imported: images and keys must exist, and only what a stack needs is loaded.
os.environ.update(
    MOTO_EC2_LOAD_DEFAULT_AMIS="false",
    MOTO_ENABLE_AMI_VALIDATION="true",
    MOTO_ENABLE_KEYPAIR_VALIDATION="true",
    # Nothing of the account of whoever runs this.
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)

from . import documents, instance_types, needed, partitions, policies, ways
from .calls import Call
from .replay import ReplayError, replay
from .user_data import CloudInit

FOLDER = needed.ROOT / "docs/reference/permissions"

INLINE, MANAGED = "aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"

#: What stands in the place of the placeholders when the documents are checked.
VALUES = {
    "REGION": "us-east-1",
    "KEY": "01234567-89ab-cdef-0123-456789abcdef",
    "PARTITION": "aws",
    "ZONE": "Z0123456789ABCDEFGHIJ",
}

#: Values that make the documents as long as they get.
LONGEST = [
    {"ACCOUNT": "1" * 12, "PARTITION": partition, "REGION": region}
    for partition, region in (
        ("aws-us-gov", "us-gov-west-1"),
        ("aws-cn", "cn-northwest-1"),
        ("aws", "ap-southeast-1"),
    )
]


class Report:
    """The faults of all checks."""

    def __init__(self) -> None:
        self.faults: List[str] = []

    def of(self, what: str, faults: Iterator[str]) -> None:
        found = list(dict.fromkeys(faults))
        self.faults += [f"{what}: {text}" for text in found]
        print(f"{'✗' if found else '✓'} {what}", flush=True)


def main(words: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="replay")
    parser.add_argument("dump", type=Path)
    parser.add_argument("--cloud-init", type=Path, help="cloud-init's schema, to check user data by")
    parser.add_argument("--write", action="store_true", help="write the documents of permissions")
    given = parser.parse_args(words)
    dump = json.loads(given.dump.read_text())
    report = Report()
    calls: Set[Call] = set()
    roles: List[Dict[str, Any]] = []
    for stack in dump["stacks"]:
        report.of(stack["title"], _stack(stack, dump["subnet"], calls, roles))
    if given.cloud_init is not None:
        report.of("user data", _user_data(dump["stacks"], CloudInit(given.cloud_init)))
    types = dump["instanceTypes"]
    report.of(f"{len(types)} instance types", iter(instance_types.faults(types)))
    report.of("documents of permissions", _documents(calls, roles, dump["account"], given.write))
    for fault in report.faults:
        print(f"\n{fault}", file=sys.stderr)
    print(
        f"\n{len(dump['stacks'])} stacks, {len(calls)} operations of AWS, "
        f"{len(roles)} policies of roles, {time.process_time():.0f} s"
    )
    return 1 if report.faults else 0


def _stack(
    stack: Dict[str, Any], subnet: str, calls: Set[Call], roles: List[Dict[str, Any]]
) -> Iterator[str]:
    yield from partitions.faults(stack)
    yield from ways.faults(stack)
    yield from _long_policies(stack["resources"])
    for resource in stack["resources"]:
        for place, document in policies.policies_in(resource["inputs"], resource["name"]):
            yield from (f"{place}: {text}" for text in policies.faults(document, stack["partition"]))
            if resource["type"] in {INLINE, MANAGED}:
                roles.append(document)
    try:
        calls |= replay(stack, subnet)
    except ReplayError as error:
        yield str(error)


def _long_policies(resources: List[Dict[str, Any]]) -> Iterator[str]:
    """What IAM would not take of the policies of roles, as it counts them."""
    inline: Dict[str, int] = {}
    for resource in resources:
        if resource["type"] not in {INLINE, MANAGED}:
            continue
        size = documents.size(json.loads(resource["inputs"]["policy"]))
        if resource["type"] == INLINE:
            role = resource["inputs"]["role"]
            inline[role] = inline.get(role, 0) + size
        elif size > documents.MOST_CHARACTERS:
            yield f"{resource['name']}: {size} characters, IAM takes {documents.MOST_CHARACTERS}"
    for role, size in inline.items():
        if size > documents.MOST_INLINE_CHARACTERS:
            yield f"{role}: {size} characters of inline policies, IAM takes {documents.MOST_INLINE_CHARACTERS}"


def _user_data(stacks: List[Dict[str, Any]], cloud_init: CloudInit) -> Iterator[str]:
    texts = {
        resource["inputs"]["userData"]
        for stack in stacks
        for resource in stack["resources"]
        if resource["type"] == "aws:ec2/instance:Instance"
    }
    for text in sorted(texts):
        yield from cloud_init.faults(text)


def _documents(calls: Set[Call], roles: List[Dict[str, Any]], account: str, write: bool) -> Iterator[str]:
    for program in needed.unknown_programs():
        yield f"{program}: uses AWS's SDK, and is in no list of test/aws/replay/needed.py"
    try:
        made = {**documents.deployer(needed.needed(calls)), "boundary": documents.boundary(roles)}
    except ValueError as error:
        yield str(error)
        return
    for name, document in made.items():
        known = documents.filled(document, {**VALUES, "ACCOUNT": account})
        yield from (f"{name}: {text}" for text in policies.faults(known, VALUES["PARTITION"]))
        size = max(documents.size(documents.filled(document, {**VALUES, **each})) for each in LONGEST)
        if size > documents.MOST_CHARACTERS:
            yield f"{name}: {size} characters, IAM takes {documents.MOST_CHARACTERS}: make two of it"
        yield from _current(FOLDER / f"{name}.json", document, write)
    for file in sorted(FOLDER.glob("*.json")):
        if file.stem not in made:
            yield f"{file.relative_to(needed.ROOT)}: nothing needs it; remove it"
    yield from _within(documents.filled(made["boundary"], {**VALUES, "ACCOUNT": account}), roles)


def _current(file: Path, document: Dict[str, Any], write: bool) -> Iterator[str]:
    text = json.dumps(document, indent=2) + "\n"
    if file.exists() and file.read_text() == text:
        return
    if write:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        print(f"wrote {file.relative_to(needed.ROOT)}")
    else:
        yield f"{file.relative_to(needed.ROOT)} is stale\nfix: npm run generate:permissions"


def _within(boundary: Dict[str, Any], roles: List[Dict[str, Any]]) -> Iterator[str]:
    """Whether the boundary leaves the roles what they have; those of other regions have other ARNs."""
    region = f":{VALUES['REGION']}:"
    for role in roles:
        for action, resource in policies.statements_of(role):
            elsewhere = not resource.startswith("arn:aws:") or (
                region not in resource and resource.split(":")[3] != ""
            )
            if resource != "*" and elsewhere:
                continue
            if not policies.allows(boundary, action, resource):
                yield f"boundary: does not allow {action} for {resource}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
