"""Whether an instance in a network of the stack's own reaches all that its role may use."""

from typing import Any, Dict, Iterator, List, Tuple

from . import policies

_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"

#: The endpoints that lead to a service, by the first word of its actions. Layers of images come from S3.
_ENDPOINTS = {
    "cloudwatch": ["monitoring"],
    "ecr": ["ecr.api", "ecr.dkr", "s3"],
    "logs": ["logs"],
    "s3": ["s3"],
    "ssm": ["ssm"],
    "ssmmessages": ["ssmmessages"],
}

#: Services that others use in the name of the role.
_THROUGH_OTHERS = {"kms"}

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
_LAYERS = "arn:{partition}:s3:::prod-{region}-starport-layer-bucket/*"


def faults(stack: Dict[str, Any]) -> Iterator[str]:
    resources = stack["resources"]
    subnets = {each["id"]: each["inputs"] for each in _of(resources, "aws:ec2/subnet:Subnet")}
    for instance in _of(resources, "aws:ec2/instance:Instance"):
        subnet = instance["inputs"].get("subnetId")
        if subnet in subnets:
            ways = _Ways(stack, subnet, subnets[subnet])
            for action, resource in _allowed(resources, instance["inputs"]["iamInstanceProfile"]):
                yield from ways.faults(action, resource)


class _Ways:
    """The ways out of a subnet."""

    def __init__(self, stack: Dict[str, Any], subnet: str, inputs: Dict[str, Any]) -> None:
        resources = stack["resources"]
        self.place = {"partition": stack["partition"], "region": stack["region"]}
        associations = _of(resources, "aws:ec2/routeTableAssociation:RouteTableAssociation")
        self.table = next(
            each["inputs"]["routeTableId"] for each in associations if each["inputs"]["subnetId"] == subnet
        )
        self.open = any(
            each["inputs"]["routeTableId"] == self.table
            and each["inputs"].get("destinationCidrBlock") == "0.0.0.0/0"
            and "natGatewayId" in each["inputs"]
            for each in _of(resources, "aws:ec2/route:Route")
        )
        self.endpoints = {
            each["inputs"]["serviceName"].partition(f".{stack['region']}.")[2]: each["inputs"]
            for each in _of(resources, _ENDPOINT)
            if each["inputs"]["vpcId"] == inputs["vpcId"]
        }

    def faults(self, action: str, resource: str) -> Iterator[str]:
        service = action.partition(":")[0]
        if service in _THROUGH_OTHERS:
            return
        names = _ENDPOINTS.get(service)
        if names is None:
            yield f"{action}: which endpoints lead there is not known; add them to test/aws/replay/ways.py"
            return
        for name in names:
            endpoint = self.endpoints.get(name)
            if endpoint is None:
                if not self.open:
                    yield f"{action}: nothing leads to {name}"
                continue
            if endpoint["vpcEndpointType"] == "Gateway" and self.table not in endpoint["routeTableIds"]:
                yield f"{action}: the endpoint of {name} is not in the routes of the instance's subnet"
            wanted = (action, resource)
            if service == "ecr" and name == "s3":
                wanted = ("s3:GetObject", _LAYERS.format(**self.place))
            for _, document in policies.policies_in(endpoint.get("policy"), name):
                if not policies.allows(document, *wanted):
                    yield f"{wanted[0]}: the policy of the endpoint of {name} does not allow it for {wanted[1]}"


def _of(resources: List[Dict[str, Any]], kind: str) -> List[Dict[str, Any]]:
    return [each for each in resources if each["type"] == kind]


def _allowed(resources: List[Dict[str, Any]], profile: str) -> Iterator[Tuple[str, str]]:
    """Actions and resources of the role of an instance profile."""
    roles = {
        each["inputs"]["role"]
        for each in _of(resources, "aws:iam/instanceProfile:InstanceProfile")
        if profile in (each["id"], each["outputs"].get("name"))
    }
    attached = {
        each["inputs"]["policyArn"]
        for each in _of(resources, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if each["inputs"]["role"] in roles
    }
    inline = (
        each for each in _of(resources, "aws:iam/rolePolicy:RolePolicy") if each["inputs"]["role"] in roles
    )
    managed = (each for each in _of(resources, "aws:iam/policy:Policy") if each["outputs"]["arn"] in attached)
    for each in (*inline, *managed):
        for _, document in policies.policies_in(each["inputs"], each["name"]):
            yield from policies.statements_of(document)
