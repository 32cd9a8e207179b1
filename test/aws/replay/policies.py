"""What is wrong with IAM policies, by AWS's reference of actions."""

import json
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from . import reference

#: Actions that are allowed for everything although they could be for less, and why.
FOR_EVERYTHING = {
    "ssm:UpdateInstanceInformation": "the agent on an instance registers itself; AWS's own policies say the same",
    "route53:AssociateVPCWithHostedZone": "zones of endpoints are in an account of AWS, where IAM may ask for the VPC",
}

#: Actions of which AWS takes no narrower permission for composite alarms, whatever its reference of resources says:
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
NEVER_NARROWER = {"cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm"}

#: AWS's services as principals, with the end of their names in China where it is not that of the others:
#: https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html
PRINCIPALS = {
    "ec2": {"aws-cn": "amazonaws.com.cn"},
    "events": {},
    "scheduler": {},
    "ssm": {},
}

_OPERATORS = {
    "String": ("String",),
    "ARN": ("Arn", "String"),
    "Bool": ("Bool",),
    "Numeric": ("Numeric",),
    "Date": ("Date",),
    "IPAddress": ("IpAddress", "NotIpAddress"),
}


class Found(NamedTuple):
    """A policy and where it is."""

    place: str
    document: Dict[str, Any]


def policies_in(value: Any, place: str) -> Iterator[Found]:
    """The policies in a resource's inputs: each text that is JSON with statements."""
    if isinstance(value, dict):
        if "Statement" in value:
            yield Found(place, value)
        for key, each in value.items():
            yield from policies_in(each, f"{place}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from policies_in(each, f"{place}[{index}]")
    elif isinstance(value, str) and value.lstrip().startswith("{") and '"Statement"' in value:
        yield from policies_in(json.loads(value), place)


def faults(document: Dict[str, Any], partition: str) -> List[str]:
    """All that is wrong with a policy."""
    found = [] if document.get("Version") == "2012-10-17" else ["Version: not 2012-10-17"]
    statements = _list(document["Statement"])
    names = [each["Sid"] for each in statements if "Sid" in each]
    found += [f"Sid {name}: more than once" for name in sorted(set(names)) if names.count(name) > 1]
    for index, statement in enumerate(statements):
        where = statement.get("Sid", f"statement {index}")
        found += [f"{where}: {text}" for text in _statement(statement, partition)]
    return found + _missing(statements)


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]


def _statement(statement: Dict[str, Any], partition: str) -> Iterator[str]:
    known = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    for key in sorted(set(statement) - known):
        yield f"{key}: not looked at here"
    if not re.fullmatch("[A-Za-z0-9]*", statement.get("Sid", "")):
        yield "Sid: not of letters and digits"
    if statement.get("Effect") not in {"Allow", "Deny"}:
        yield f"Effect: {statement.get('Effect')!r}"
    if "Principal" in statement:
        yield from _principal(statement["Principal"], partition)
    elif "Resource" not in statement:
        yield "Resource: missing"
    for name in _list(statement["Action"]):
        yield from _action(name, statement)
    yield from _resources(statement, partition)
    yield from _conditions(statement)


def _principal(principal: Any, partition: str) -> Iterator[str]:
    if principal == "*":
        return
    for kind, names in principal.items():
        for name in _list(names):
            if kind != "Service":
                yield f"Principal: {kind} is not looked at here"
                continue
            service, _, end = name.partition(".")
            if service not in PRINCIPALS:
                yield f"Principal: {name} is not known; add it to test/aws/replay/policies.py"
            elif end != PRINCIPALS[service].get(partition, "amazonaws.com"):
                yield f"Principal: {name} is called otherwise in {partition}"


def _action(name: str, statement: Dict[str, Any]) -> Iterator[str]:
    allowed = statement.get("Effect") == "Allow"
    if "*" in name or "?" in name:
        if allowed:
            yield f"{name}: a wildcard allows what nobody needs, and what AWS adds later"
        if not reference.actions_like(name):
            yield f"{name}: stands for no action"
        return
    known = reference.action(name)
    if known is None:
        yield f"{name}: no such action"
        return
    if "Resource" not in statement:
        return
    resources = _list(statement["Resource"])
    if "*" in resources:
        needless = known.types and name not in FOR_EVERYTHING and name not in NEVER_NARROWER
        if needless and allowed and "Condition" not in statement:
            kinds = ", ".join(each.name for each in known.types)
            yield f"{name}: allowed for everything, but could be for {kinds}"
    elif name in NEVER_NARROWER and allowed:
        yield f'{name}: AWS takes it for everything, "*", alone where there are composite alarms'
    elif not known.types:
        yield f'{name}: knows no resources, only "*"'
    elif not any(reference.is_of(arn, each.arn) for arn in resources for each in known.types):
        kinds = ", ".join(each.arn for each in known.types)
        yield f"{name}: none of the resources is one of it: {kinds}"


def _resources(statement: Dict[str, Any], partition: str) -> Iterator[str]:
    names = [
        name
        for pattern in _list(statement["Action"])
        for name in (reference.actions_like(pattern) or [pattern])
    ]
    actions = [found for found in map(reference.action, names) if found is not None]
    for arn in _list(statement.get("Resource", [])):
        if arn == "*":
            continue
        if not arn.startswith(f"arn:{partition}:"):
            yield f"{arn}: not of {partition}"
        elif not any(reference.is_of(arn, kind.arn) for each in actions for kind in each.types):
            yield f"{arn}: no action of the statement knows it"


def _conditions(statement: Dict[str, Any]) -> Iterator[str]:
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            for name in _list(statement["Action"]):
                yield from _condition(operator, key, name)


def _condition(operator: str, key: str, name: str) -> Iterator[str]:
    known = reference.action(name)
    if key not in reference.GLOBAL_KEYS:
        if known is None:
            return
        if not any(reference.same_key(key, template) for template in known.keys):
            yield f"{name}: never has the condition key {key}"
            return
    kind = reference.key_type(key, name.partition(":")[0])
    of_each, _, plain = operator.rpartition(":")
    fits = plain == "Null" or plain.startswith(_OPERATORS[kind.replace("ArrayOf", "")])
    if not fits or kind.startswith("ArrayOf") != bool(of_each):
        yield f"{operator}: {key} is {kind}"


def _missing(statements: List[Dict[str, Any]]) -> List[str]:
    """Actions that work on several resources at once, of which one is not allowed."""
    allowed: Dict[str, List[str]] = {}
    for statement in statements:
        if statement.get("Effect") == "Allow" and "Resource" in statement:
            for name in _list(statement["Action"]):
                allowed.setdefault(name, []).extend(_list(statement["Resource"]))
    found = []
    for name, resources in allowed.items():
        known = reference.action(name)
        if known is None or "*" in resources:
            continue
        for kind in known.types:
            if kind.required and not any(reference.is_of(arn, kind.arn) for arn in resources):
                found.append(f"{name}: needs a resource {kind.name} as well: {kind.arn}")
    return found


def covers(pattern: str, value: str) -> bool:
    """Whether a pattern of IAM matches a text, or all that another pattern does."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return bool(re.fullmatch(expression, value))


def allows(document: Dict[str, Any], action: str, resource: str) -> bool:
    """Whether a policy allows an action for a resource, whatever its conditions say."""
    return any(
        statement["Effect"] == "Allow"
        and any(covers(pattern, action) for pattern in _list(statement["Action"]))
        and any(covers(pattern, resource) for pattern in _list(statement["Resource"]))
        for statement in _list(document["Statement"])
    )


def statements_of(document: Dict[str, Any]) -> Iterator[Tuple[str, str]]:
    """Each action with each resource that a policy allows it for."""
    for statement in _list(document["Statement"]):
        if statement["Effect"] == "Allow":
            for action in _list(statement["Action"]):
                for resource in _list(statement["Resource"]):
                    yield action, resource
