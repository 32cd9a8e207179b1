"""Creates, reads, changes and deletes what a stack has asked for, with moto in the place of AWS."""

import contextlib
from typing import Any, Dict, Iterator, List, Set
from unittest import mock

from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from .calls import Aws, Call
from .resources import FUNCTIONS, RESOURCES, Resource
from .world import Inputs, World

#: Of these providers, nothing reaches AWS; what commands call is in the documents of permissions.
OTHER_PROVIDERS = ("command:", "docker-build:", "docker:", "tls:", "pulumi:")


class ReplayError(Exception):
    """Something that AWS would refuse, or that the table does not know."""


def is_on_aws(kind: str) -> bool:
    return not kind.startswith(OTHER_PROVIDERS)


def replay(stack: Dict[str, Any], subnet: str) -> Set[Call]:
    """Replays one stack, and returns what it has called."""
    # moto takes a bucket's policy for one without conditions, and would let nobody in.
    everybody = mock.patch.object(FakeBucket, "get_permission", return_value=PermissionResult.PERMITTED)
    with mock_aws(), everybody:
        aws = Aws(stack["region"])
        world = World(aws, stack, subnet)
        for call in stack["calls"]:
            if is_on_aws(call["token"]):
                _ask(world, call)
        made: List[Resource] = []
        for each in stack["resources"]:
            if is_on_aws(each["type"]):
                made.append(_create(world, each))
        for one in made:
            with _named(one.dumped):
                one.update()
                one.read()
        for one in reversed(made):
            with _named(one.dumped):
                one.delete()
                one.inputs.require_all_seen()
        called = set(aws.made)
        left = list(_left(aws))
        if left:
            raise ReplayError(f"left when all is deleted: {', '.join(left)}")
        return called


_EGRESS_ONLY = ("EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId")


def _left(aws: Aws) -> Iterator[str]:
    """What is still there of a stack, whose names all begin with that of its component."""
    for service, operation, key, name in (
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        ("ec2", "describe_addresses", "Addresses", "AllocationId"),
        ("ec2", "describe_key_pairs", "KeyPairs", "KeyName"),
        ("ec2", "describe_security_groups", "SecurityGroups", "GroupName"),
        ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
        ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
        ("ec2", "describe_egress_only_internet_gateways", *_EGRESS_ONLY),
        ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
        ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupName"),
        ("ecr", "describe_repositories", "repositories", "repositoryName"),
        ("events", "list_rules", "Rules", "Name"),
        ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
        ("iam", "list_roles", "Roles", "RoleName"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("s3", "list_buckets", "Buckets", "Name"),
        ("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
        ("sns", "list_topics", "Topics", "TopicArn"),
        ("ssm", "describe_parameters", "Parameters", "Name"),
    ):
        for each in getattr(aws.client(service), operation)()[key]:
            # The account has networks of its own, without tags.
            of_account = each[name] == "default" or (key == "Vpcs" and not each.get("Tags"))
            if not of_account and each.get("State") != "deleted":
                yield f"{service} {each[name]}"
    composite = aws.client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm"])
    for each in composite["CompositeAlarms"]:
        yield f"cloudwatch {each['AlarmName']}"
    for each in aws.ec2.describe_instances()["Reservations"]:
        for instance in each["Instances"]:
            if instance["State"]["Name"] != "terminated":
                yield f"ec2 {instance['InstanceId']}"


@contextlib.contextmanager
def _named(dumped: Dict[str, Any]) -> Iterator[None]:
    """Says which resource an error is of."""
    try:
        yield
    except Exception as error:
        raise ReplayError(f"{dumped['name']} ({dumped['type']}): {type(error).__name__}: {error}") from error


def _ask(world: World, call: Dict[str, Any]) -> None:
    ask = FUNCTIONS.get(call["token"])
    if ask is None:
        raise ReplayError(f"{call['token']}: not known\nfix: add it to test/aws/replay/resources.py")
    inputs = Inputs(world.real(call["inputs"]))
    real = ask(world.aws, inputs)
    inputs.require_all_seen()
    for key, value in real.items():
        dumped = call["outputs"][key]
        for pair in zip(dumped, value) if isinstance(dumped, list) else [(dumped, value)]:
            world.know(*pair)


def _create(world: World, dumped: Dict[str, Any]) -> Resource:
    kind = RESOURCES.get(dumped["type"])
    if kind is None:
        raise ReplayError(f"{dumped['type']}: not known\nfix: add it to test/aws/replay/resources.py")
    one = kind(world.aws, Inputs(world.real(dumped["inputs"])), dumped)
    with _named(dumped):
        own = one.create()
        one.read()
    world.know(dumped["id"], own)
    for key, value in one.real.items():
        world.know(dumped["outputs"].get(key), value)
    return one
