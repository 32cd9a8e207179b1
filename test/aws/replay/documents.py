"""The policies for whoever deploys, and the boundary for the roles that a stack makes, as documents to copy."""

import json
import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from . import policies, reference

#: IAM's limit of a managed policy, without white space:
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_CHARACTERS = 6144
#: Of all inline policies of a role together.
MOST_INLINE_CHARACTERS = 10240

#: What a user puts in the place of these, as docs/reference/permissions.md says.
PLACEHOLDERS = ("PARTITION", "REGION", "ACCOUNT", "KEY", "ZONE")

BOUNDARY_ARN = "arn:PARTITION:iam::ACCOUNT:policy/xsched-triton-boundary"

MACHINE, NETWORK, ACCESS, FILES, MONITORING, COSTS, KEY, BALANCER = (
    f"deploy-{name}"
    for name in ("machine", "network", "access", "files", "monitoring", "costs", "key", "load-balancer")
)


class Home(NamedTuple):
    """The statement that an action belongs to."""

    document: str
    sid: str
    resources: Tuple[str, ...]
    condition: str = "{}"


def _regional(service: str, resource: str) -> str:
    return f"arn:PARTITION:{service}:REGION:ACCOUNT:{resource}"


#: Per service: its document, and its resource types that stacks have. All names begin with that of the component.
_SCOPES: Dict[str, Tuple[str, Dict[str, str]]] = {
    "iam": (
        ACCESS,
        {
            "role": "arn:PARTITION:iam::ACCOUNT:role/triton-*",
            "instance-profile": "arn:PARTITION:iam::ACCOUNT:instance-profile/triton-*",
            "policy": "arn:PARTITION:iam::ACCOUNT:policy/triton-*",
        },
    ),
    "ssm": (ACCESS, {"parameter": _regional("ssm", "parameter/xsched-triton/*")}),
    # Those of EC2 and of VPCs.
    "servicequotas": (ACCESS, {"quota": _regional("servicequotas", "*/*")}),
    "kms": (KEY, {"key": _regional("kms", "key/KEY")}),
    "s3": (
        FILES,
        {"bucket": "arn:PARTITION:s3:::triton-*", "object": "arn:PARTITION:s3:::triton-*/*"},
    ),
    "ecr": (FILES, {"repository": _regional("ecr", "repository/triton-*")}),
    "logs": (MONITORING, {"log-group": _regional("logs", "log-group:triton-*")}),
    "cloudwatch": (
        MONITORING,
        {
            "alarm": _regional("cloudwatch", "alarm:triton-*"),
            "dashboard": "arn:PARTITION:cloudwatch::ACCOUNT:dashboard/xsched-triton-*",
        },
    ),
    "events": (
        MONITORING,
        {"rule-on-default-event-bus": _regional("events", "rule/triton-*")},
    ),
    "sns": (MONITORING, {"topic": _regional("sns", "triton-*")}),
    "scheduler": (
        COSTS,
        {
            "schedule-group": _regional("scheduler", "schedule-group/triton-*"),
            "schedule": _regional("scheduler", "schedule/triton-*/triton-*"),
        },
    ),
    "elasticloadbalancing": (
        BALANCER,
        {
            # The reference knows the actions that are as old as classic load balancers by these alone.
            "loadbalancer": _regional("elasticloadbalancing", "loadbalancer/net/triton-*/*"),
            "loadbalancer/net/": _regional("elasticloadbalancing", "loadbalancer/net/triton-*/*"),
            "targetgroup": _regional("elasticloadbalancing", "targetgroup/triton-*/*"),
            "listener/net": _regional("elasticloadbalancing", "listener/net/triton-*/*/*"),
        },
    ),
    # A certificate is named by AWS.
    "acm": (BALANCER, {"certificate": _regional("acm", "certificate/*")}),
    "route53": (
        BALANCER,
        {
            "hostedzone": "arn:PARTITION:route53:::hostedzone/ZONE",
            "change": "arn:PARTITION:route53:::change/*",
        },
    ),
    "budgets": (COSTS, {"budget": "arn:PARTITION:budgets::ACCOUNT:budget/triton-*"}),
}

#: Of EC2, what carries the tags of its project, and what does not.
_TAGGED = (
    "capacity-reservation",
    "egress-only-internet-gateway",
    "elastic-ip",
    "instance",
    "internet-gateway",
    "key-pair",
    "natgateway",
    "route-table",
    "security-group",
    "subnet",
    "volume",
    "vpc",
    "vpc-endpoint",
)
_UNTAGGED = ("network-interface", "spot-instances-request")

#: What EC2 makes and tags at once.
_MAKES = {
    "ec2:AllocateAddress": "elastic-ip",
    "ec2:CreateCapacityReservation": "capacity-reservation",
    "ec2:CreateEgressOnlyInternetGateway": "egress-only-internet-gateway",
    "ec2:CreateInternetGateway": "internet-gateway",
    "ec2:CreateNatGateway": "natgateway",
    "ec2:CreateRouteTable": "route-table",
    "ec2:CreateSecurityGroup": "security-group",
    "ec2:CreateSubnet": "subnet",
    "ec2:CreateVpc": "vpc",
    "ec2:CreateVpcEndpoint": "vpc-endpoint",
    "ec2:ImportKeyPair": "key-pair",
    "ec2:RunInstances": "instance",
}

_PROJECT = "xsched-triton"
_REQUESTED = json.dumps({"StringEquals": {"aws:RequestTag/xsched-triton:project": _PROJECT}})
_OWN = json.dumps({"StringEquals": {"aws:ResourceTag/xsched-triton:project": _PROJECT}})
#: GuardDuty's Runtime Monitoring puts an endpoint and its group into a network, which keep that from being deleted:
#: https://docs.aws.amazon.com/guardduty/latest/ug/using-iac-with-gdu-automated-agents-runtime-monitoring.html
_OF_GUARD_DUTY = json.dumps({"StringEquals": {"aws:ResourceTag/GuardDutyManaged": "true"}})
#: What the provider does about them: https://github.com/hashicorp/terraform-provider-aws/pull/46953
_GUARD_DUTY = ("ec2:DeleteSecurityGroup", "ec2:DeleteVpcEndpoints", "ec2:ModifyVpcEndpoint")
_BOUND = json.dumps({"ArnEquals": {"iam:PermissionsBoundary": BOUNDARY_ARN}})

#: The instance that the preflight asks for a session with: nobody's.
_NO_INSTANCE = _regional("ec2", "instance/i-00000000000000000")


def _ec2(*kinds: str) -> Tuple[str, ...]:
    # Images belong to other accounts.
    return tuple(
        "arn:PARTITION:ec2:REGION::image/*" if kind == "image" else _regional("ec2", f"{kind}/*")
        for kind in kinds
    )


def _role_of_service(document: str, sid: str, service: str) -> Home:
    """A role that AWS makes for a service of its own, when somebody needs it who may have it made."""
    role = f"arn:PARTITION:iam::ACCOUNT:role/aws-service-role/{service}/*"
    return Home(document, sid, (role,), json.dumps({"StringEquals": {"iam:AWSServiceName": service}}))


_SESSIONS = tuple(
    f"arn:PARTITION:ssm:REGION::document/AWS-Start{name}Session" for name in ("SSH", "PortForwarding")
)

_SPECIAL: Dict[str, Tuple[Home, ...]] = {
    "ec2:CreateTags": (
        Home(
            MACHINE,
            "TagNew",
            _ec2(*sorted({*_MAKES.values(), "volume"})),
            json.dumps({"StringEquals": {"ec2:CreateAction": sorted(name.split(":")[1] for name in _MAKES)}}),
        ),
        # An instance's volume, and the group that AWS gives each network, carry no tags when they are made.
        Home(MACHINE, "TagAdopted", _ec2("security-group", "volume"), _REQUESTED),
        Home(MACHINE, "ChangeOwn", _ec2(*_TAGGED), _OWN),
    ),
    "ec2:DeleteTags": (Home(MACHINE, "ChangeOwn", _ec2(*_TAGGED), _OWN),),
    "iam:CreateRole": (Home(ACCESS, "BoundRoles", (_SCOPES["iam"][1]["role"],), _BOUND),),
    "iam:PutRolePolicy": (Home(ACCESS, "BoundRoles", (_SCOPES["iam"][1]["role"],), _BOUND),),
    "iam:AttachRolePolicy": (Home(ACCESS, "BoundRoles", (_SCOPES["iam"][1]["role"],), _BOUND),),
    "iam:PutRolePermissionsBoundary": (Home(ACCESS, "BoundRoles", (_SCOPES["iam"][1]["role"],), _BOUND),),
    "iam:PassRole": (
        Home(
            ACCESS,
            "PassRoles",
            (_SCOPES["iam"][1]["role"],),
            json.dumps(
                {
                    "StringLike": {
                        "iam:PassedToService": [
                            "ec2.amazonaws.com*",
                            "events.amazonaws.com",
                            "scheduler.amazonaws.com",
                            "ssm.amazonaws.com",
                        ]
                    }
                }
            ),
        ),
    ),
    "iam:CreateServiceLinkedRole": (
        _role_of_service(ACCESS, "SpotRole", "spot.amazonaws.com"),
        _role_of_service(MONITORING, "AlarmsThatAct", "events.amazonaws.com"),
        _role_of_service(BALANCER, "BalancerRole", "elasticloadbalancing.amazonaws.com"),
    ),
    "ssm:GetParameter": (
        Home(ACCESS, "Ssm", (_SCOPES["ssm"][1]["parameter"],)),
        Home(ACCESS, "PublicParameters", ("arn:PARTITION:ssm:REGION::parameter/aws/service/*",)),
    ),
    "ssm:GetParameters": (
        Home(ACCESS, "PublicParameters", ("arn:PARTITION:ssm:REGION::parameter/aws/service/*",)),
    ),
    "ssm:StartSession": (
        Home(ACCESS, "SessionDocuments", (*_SESSIONS, _NO_INSTANCE)),
        Home(ACCESS, "OwnSessions", _ec2("instance"), _OWN),
    ),
    "ssm:ResumeSession": (Home(ACCESS, "Sessions", (_regional("ssm", "session/*"),)),),
    "ssm:TerminateSession": (Home(ACCESS, "Sessions", (_regional("ssm", "session/*"),)),),
    # AWS's reference knows no resource of it, though AWS's own example names sessions. It takes the token of a session.
    "ssmmessages:OpenDataChannel": (Home(ACCESS, "Look", ("*",)),),
    **dict.fromkeys(sorted(policies.NEVER_NARROWER), (Home(MONITORING, "CompositeAlarms", ("*",)),)),
    "ec2:DescribeAccountAttributes": (Home(BALANCER, "Look", ("*",)),),
    "ec2:DescribeInternetGateways": (
        Home(NETWORK, "Look", ("*",)),
        Home(BALANCER, "Look", ("*",)),
    ),
    "route53:AssociateVPCWithHostedZone": (Home(NETWORK, "NamesOfEndpoints", ("*",)),),
    "ec2:GetSecurityGroupsForVpc": (Home(BALANCER, "LookAt", _ec2("vpc")),),
}


def homes(name: str) -> Tuple[Home, ...]:
    """Where an action is allowed."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    known = reference.action(name)
    if known is None:
        raise ValueError(
            f"{name}: no such action; test/aws/replay/needed.py names the action of each operation"
        )
    service = name.partition(":")[0]
    kinds = [each.name for each in known.types]
    document, scopes = _SCOPES.get(service, (_document_in_ec2(name) if service == "ec2" else "", {}))
    if kinds and service == "ec2":
        others = _ec2("security-group", "vpc-endpoint") if name in _GUARD_DUTY else ()
        return (
            *_homes_in_ec2(name, known, kinds),
            *([Home(NETWORK, "OfGuardDuty", others, _OF_GUARD_DUTY)] if others else []),
        )
    found = tuple(arn for kind, arn in scopes.items() if kind in kinds) if kinds else ("*",)
    if not found or not document:
        raise ValueError(f"{name}: add one of {', '.join(kinds)} to test/aws/replay/documents.py")
    return (Home(document, service.capitalize() if kinds else "Look", found),)


#: What only a network of its own needs.
_OF_NETWORKS = re.compile(r"Gateway|NetworkAcl|Route|Subnet|Vpc(?!Endpoint)")
#: These are asked of networks that exist, too.
_OF_ALL_NETWORKS = ("Vpcs", "VpcAttribute", "Subnets", "RouteTables")


def _document_in_ec2(name: str) -> str:
    if name.removeprefix("ec2:Describe") in _OF_ALL_NETWORKS:
        return MACHINE
    return NETWORK if _OF_NETWORKS.search(name) else MACHINE


def _homes_in_ec2(name: str, known: reference.Action, kinds: List[str]) -> Iterator[Home]:
    document = _document_in_ec2(name)
    tagged = [kind for kind in _TAGGED if kind in kinds]
    untagged = [kind for kind in _UNTAGGED if kind in kinds]
    made = _MAKES.get(name)
    if made is not None:
        yield Home(document, "Make", _ec2(made), _REQUESTED)
        others = [kind for kind in (*tagged, *untagged, "image") if kind in kinds and kind != made]
        # A reservation is named by those alone who have one.
        others = [kind for kind in others if kind != "capacity-reservation"]
        if others:
            yield Home(document, "MakeOf", _ec2(*others))
    elif known.level in {"List", "Read"}:
        yield Home(document, "LookAt", _ec2(*tagged, *untagged))
    else:
        if tagged:
            yield Home(document, "ChangeOwn", _ec2(*tagged), _OWN)
        if untagged:
            yield Home(document, "ChangeAttached", _ec2(*untagged))


def deployer(actions: Iterable[str]) -> Dict[str, Dict[str, Any]]:
    """The documents for whoever deploys, by their names."""
    statements: Dict[Tuple[str, str, str], Tuple[set, set]] = {}
    for name in sorted(actions):
        for home in homes(name):
            allowed, resources = statements.setdefault(
                (home.document, home.sid, home.condition), (set(), set())
            )
            allowed.add(name)
            resources.update(home.resources)
    made: Dict[str, List[Dict[str, Any]]] = {}
    for (document, sid, condition), (allowed, resources) in sorted(statements.items()):
        made.setdefault(document, []).append(_statement(sid, allowed, resources, json.loads(condition)))
    return {name: _policy(each) for name, each in made.items()}


def _statement(
    sid: str, actions: Iterable[str], resources: Iterable[str], condition: Dict[str, Any]
) -> Dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": sorted(resources),
        **({"Condition": condition} if condition else {}),
    }


def _policy(statements: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


#: For the boundary: what the roles of all stacks may reach at most.
_BOUNDARY: Dict[str, Tuple[str, Tuple[str, ...], Dict[str, Any]]] = {
    "ssm:GetParameter": ("Parameters", (_regional("ssm", "parameter/xsched-triton/*"),), {}),
    "ssm:StartAutomationExecution": (
        "Restart",
        (
            "arn:PARTITION:ssm:REGION::automation-definition/AWS-RestartEC2Instance:*",
            "arn:PARTITION:ssm:REGION::document/AWS-RestartEC2Instance",
            "arn:PARTITION:ssm:REGION:*:automation-execution/*",
        ),
        {},
    ),
    "ecr": ("Images", (_regional("ecr", "repository/*"),), {}),
    # The buckets of models may be anybody's; a role names its own.
    "s3": ("Models", ("arn:PARTITION:s3:::*/*",), {}),
    "kms": ("Keys", (_regional("kms", "key/*"),), {"Null": {"kms:ViaService": "false"}}),
    "logs": (
        "Logs",
        tuple(_regional("logs", f"log-group:triton-*{part}") for part in ("", ":log-stream:*")),
        {},
    ),
    "cloudwatch": ("Metrics", ("*",), {"StringEquals": {"cloudwatch:namespace": "XSchedTriton"}}),
    "ec2:StartInstances": (
        "Instances",
        ("arn:PARTITION:ec2:REGION:*:instance/*",),
        json.loads(_OWN),
    ),
    "ec2:StopInstances": (
        "Instances",
        ("arn:PARTITION:ec2:REGION:*:instance/*",),
        json.loads(_OWN),
    ),
    "iam:PassRole": ("Roles", (_SCOPES["iam"][1]["role"],), {}),
}


def boundary(roles: Iterable[Dict[str, Any]]) -> Dict[str, Any]:
    """The document that no role of a stack may exceed, by the policies that their roles have."""
    statements: Dict[str, Tuple[set, Tuple[str, ...], Dict[str, Any]]] = {}
    for name in sorted({action for role in roles for action, _ in policies.statements_of(role)}):
        known = reference.action(name)
        if (
            known is not None
            and (not known.types or name in policies.FOR_EVERYTHING)
            and name not in _BOUNDARY
        ):
            kind = name.partition(":")[0]
            sid, resources, condition = (
                _BOUNDARY[kind] if kind == "cloudwatch" else ("Everything", ("*",), {})
            )
        else:
            try:
                sid, resources, condition = _BOUNDARY.get(name) or _BOUNDARY[name.partition(":")[0]]
            except KeyError:
                raise ValueError(f"{name}: add its resources to test/aws/replay/documents.py") from None
        statements.setdefault(sid, (set(), resources, condition))[0].add(name)
    return _policy([_statement(sid, *each) for sid, each in sorted(statements.items())])


def filled(document: Dict[str, Any], values: Dict[str, str]) -> Dict[str, Any]:
    """A document with values in the place of its placeholders."""
    text = json.dumps(document)
    for name in PLACEHOLDERS:
        text = text.replace(name, values[name])
    return json.loads(text)


def size(document: Dict[str, Any]) -> int:
    """As IAM counts it."""
    return len("".join(json.dumps(document, separators=(",", ":")).split()))
