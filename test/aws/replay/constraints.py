"""What botocore's models say of values, and botocore itself does not check: lengths, patterns and lists of values; and
what AWS says of values in prose alone."""

import functools
import re
from typing import Any, List, Optional, Pattern, Tuple

#: Classes that Java's expressions have and Python's lack, each with the next larger one.
_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{Z}": r"\s",
    r"\p{N}": r"\d",
    r"\p{M}": r"\w",
    r"\p{S}": r"\W",
    r"\p{P}": r"\W",
}

#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html, and likewise of a rule.
_DESCRIPTION = r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}"

#: Patterns that AWS's documents state and its models lack, by structure and member.
_PROSE = {
    ("CreateSecurityGroupRequest", "Description"): _DESCRIPTION,
    ("IpRange", "Description"): _DESCRIPTION,
    ("Ipv6Range", "Description"): _DESCRIPTION,
    ("UserIdGroupPair", "Description"): _DESCRIPTION,
}


@functools.lru_cache(maxsize=None)
def _expression(pattern: str) -> Optional[Pattern[str]]:
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    # \u{10000} is Java's way to write what Python writes with eight digits.
    pattern = re.sub(r"\\[ux]\{([0-9A-Fa-f]+)\}", lambda found: chr(int(found[1], 16)), pattern)
    try:
        return re.compile(pattern)
    except re.error:
        return None


def violations(value: Any, shape: Any, place: str = "") -> List[str]:
    """How a value contradicts the model of a parameter."""
    kind = shape.type_name
    if kind == "structure":
        return [
            text
            for key, each in (value or {}).items()
            if key in shape.members
            for text in violations(each, shape.members[key], f"{place}.{key}" if place else key)
            + _prose(each, (shape.name, key), f"{place}.{key}" if place else key)
        ]
    if kind == "list":
        return _length(len(value), shape, place, "items") + [
            text
            for index, each in enumerate(value)
            for text in violations(each, shape.member, f"{place}[{index}]")
        ]
    if kind == "map":
        return _length(len(value), shape, place, "entries") + [
            text
            for key, each in value.items()
            for text in violations(key, shape.key, f"{place} (a key)")
            + violations(each, shape.value, f"{place}.{key}")
        ]
    if kind == "string" and isinstance(value, str):
        return _length(len(value), shape, place, "characters") + _text(value, shape, place)
    if kind in {"integer", "long", "float", "double"}:
        return _length(value, shape, place, "")
    return []


def _prose(value: Any, member: Tuple[str, str], place: str) -> List[str]:
    pattern = _PROSE.get(member)
    if pattern is None or re.fullmatch(pattern, value):
        return []
    return [f"{place}: {value!r} does not match {pattern}"]


def _length(size: float, shape: Any, place: str, unit: str) -> List[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    of = f" {unit}" if unit else ""
    if least is not None and size < least:
        return [f"{place}: {size}{of}, at least {least}"]
    if most is not None and size > most:
        return [f"{place}: {size}{of}, at most {most}"]
    return []


def _text(value: str, shape: Any, place: str) -> List[str]:
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        return [f"{place}: {value!r}, not one of {', '.join(allowed)}"]
    pattern = shape.metadata.get("pattern")
    expression = _expression(pattern) if pattern else None
    if expression is not None and not expression.fullmatch(value):
        return [f"{place}: {value!r} does not match {pattern}"]
    return []
