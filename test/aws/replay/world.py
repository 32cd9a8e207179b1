"""The account that a stack is replayed in, and what the replay knows of it."""

import json
from typing import Any, Dict, List, Tuple

from .calls import Aws

#: What belongs to every account, or to the people who deploy, and not to the stack.
KEY_NAME = "key/01234567-89ab-cdef-0123-456789abcdef"
CERTIFICATE_NAME = "certificate/01234567-89ab-cdef-0123-456789abcdef"
DOMAIN = "example.com"
ZONE = "Z0123456789ABCDEFGHIJ"


_BOUNDARY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}],
    }
)


class World:
    """A region of moto's account, prepared as a stack's dump says."""

    def __init__(self, aws: Aws, dump: Dict[str, Any], subnet: str) -> None:
        self.aws = aws
        #: Values of the dump, and what moto has in their place.
        self._values: Dict[str, str] = {}
        ec2 = aws.ec2
        key = aws.kms.create_key(Description="a customer's own")["KeyMetadata"]["Arn"]
        self.know(f"{key.split(':key/')[0]}:{KEY_NAME}", key)
        certificate = aws.acm.request_certificate(DomainName=f"triton.{DOMAIN}")["CertificateArn"]
        self.know(f"{certificate.split(':certificate/')[0]}:{CERTIFICATE_NAME}", certificate)
        zone = aws.route53.create_hosted_zone(Name=DOMAIN, CallerReference="a customer's own")["HostedZone"]
        self.know(ZONE, zone["Id"].rpartition("/")[2])
        image = ec2.register_image(
            Name="deep-learning", Architecture="x86_64", RootDeviceName="/dev/sda1", VirtualizationType="hvm"
        )["ImageId"]
        self.know("ami-0123456789abcdef0", image)
        if not dump["defaultVpc"]:
            self._without_default_vpc(subnet)
        aws.iam.create_policy(PolicyName="xsched-triton-boundary", PolicyDocument=_BOUNDARY)
        aws.made.clear()

    def _without_default_vpc(self, subnet: str) -> None:
        ec2 = self.aws.ec2
        (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])
        for each in ec2.describe_subnets()["Subnets"]:
            ec2.delete_subnet(SubnetId=each["SubnetId"])
        for each in ec2.describe_internet_gateways()["InternetGateways"]:
            gateway = each["InternetGatewayId"]
            ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc["VpcId"])
            ec2.delete_internet_gateway(InternetGatewayId=gateway)
        for each in groups["SecurityGroups"]:
            if each["GroupName"] != "default":
                ec2.delete_security_group(GroupId=each["GroupId"])
        ec2.delete_vpc(VpcId=vpc["VpcId"])
        own = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.know(subnet, ec2.create_subnet(VpcId=own, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"])

    def know(self, dumped: Any, real: Any) -> None:
        """What stands in the place of a value of the dump from now on."""
        if isinstance(dumped, str) and isinstance(real, str) and dumped and dumped != real:
            self._values[dumped] = real

    def real(self, value: Any) -> Any:
        """A value of the dump, with what moto has in place of what was made up."""
        if isinstance(value, dict):
            return {key: self.real(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.real(each) for each in value]
        if isinstance(value, str):
            for dumped, real in self._longest_first():
                value = value.replace(dumped, real)
        return value

    def _longest_first(self) -> List[Tuple[str, str]]:
        return sorted(self._values.items(), key=lambda pair: -len(pair[0]))


class UnusedInputError(Exception):
    """An input of a resource that the table does not know."""


class Inputs:
    """The inputs of a resource; each must be looked at."""

    def __init__(self, values: Dict[str, Any]) -> None:
        self._values = values
        self._seen = set()

    def __getitem__(self, key: str) -> Any:
        self._seen.add(key)
        return self._values[key]

    def get(self, key: str, default: Any = None) -> Any:
        self._seen.add(key)
        return self._values.get(key, default)

    def params(self, **names: str) -> Dict[str, Any]:
        """Parameters of a call, by the inputs that they come from, if those are there."""
        found = {parameter: self.get(key) for parameter, key in names.items()}
        return {parameter: value for parameter, value in found.items() if value is not None}

    def require_all_seen(self) -> None:
        left = sorted(
            key for key, value in self._values.items() if key not in self._seen and value is not None
        )
        if left:
            raise UnusedInputError(
                f"{', '.join(left)}: what the provider makes of it is not known\n"
                "fix: pass it on in test/aws/replay/resources.py"
            )


def tag_list(tags: Dict[str, str]) -> List[Dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
