"""What Pulumi's AWS provider calls for each type of resource that the project uses, and for each of its functions.

The provider wraps Terraform's, whose sources say what it calls: https://github.com/hashicorp/terraform-provider-aws.
A new type is a new class here, and its answers are in test/aws/stacks/answers.ts.
"""

import base64
import re
from typing import Any, Callable, Dict, List, Type

from .calls import Aws, outcome, pages
from .world import Inputs, tag_list

#: EC2's limit of user data, before it is encoded.
MOST_USER_DATA = 16 * 1024


class Resource:
    """One resource: each method calls AWS as the provider does."""

    #: Outputs that AWS knows after `create` and `read`: they replace those that are made up in the dump.
    real: Dict[str, Any]

    def __init__(self, aws: Aws, inputs: Inputs, dumped: Dict[str, Any]) -> None:
        self.aws = aws
        self.inputs = inputs
        self.dumped = dumped
        self.outputs = dumped["outputs"]
        self.real = {}

    def create(self) -> str:
        """Creates it, and returns its id."""
        raise NotImplementedError

    def read(self) -> None:
        """As a refresh, and each creation and update, ends."""

    def update(self) -> None:
        """Changes what can change in place."""

    def delete(self) -> None:
        raise NotImplementedError


RESOURCES: Dict[str, Type[Resource]] = {}


def resource(kind: str) -> Callable[[Type[Resource]], Type[Resource]]:
    def register(made: Type[Resource]) -> Type[Resource]:
        RESOURCES[kind] = made
        return made

    return register


# EC2: the API of all resources is one, and so is that of their tags.


class Ec2Resource(Resource):
    def tags(self, kind: str) -> List[Dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tag_list(self.inputs.get("tags"))}]

    def retag(self, own: str) -> None:
        self.aws.ec2.delete_tags(Resources=[own], Tags=[{"Key": "former"}])
        self.aws.ec2.create_tags(Resources=[own], Tags=[{"Key": "team", "Value": "inference"}])


@resource("aws:ec2/keyPair:KeyPair")
class KeyPair(Ec2Resource):
    def create(self) -> str:
        name = self.inputs.get("keyName") or self.outputs["keyName"]
        self.own = self.aws.ec2.import_key_pair(
            KeyName=name,
            PublicKeyMaterial=self.inputs["publicKey"].encode(),
            TagSpecifications=self.tags("key-pair"),
        )
        return name

    def read(self) -> None:
        self.aws.ec2.describe_key_pairs(KeyNames=[self.own["KeyName"]], IncludePublicKey=True)

    def update(self) -> None:
        self.retag(self.own["KeyPairId"])

    def delete(self) -> None:
        self.aws.ec2.delete_key_pair(KeyName=self.own["KeyName"])


#: What EC2 says of a rule that a group does not have.
_NO_RULE = "InvalidPermission.NotFound"


def _permission(rule: Dict[str, Any]) -> Dict[str, Any]:
    text = {"Description": rule["description"]} if rule.get("description") else {}
    ports = (
        {} if rule["protocol"] == "-1" else {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    )
    ranges = [{"CidrIp": each, **text} for each in rule.get("cidrBlocks", [])]
    over_ipv6 = [{"CidrIpv6": each, **text} for each in rule.get("ipv6CidrBlocks", [])]
    return {
        "IpProtocol": str(rule["protocol"]),
        **ports,
        **({"IpRanges": ranges} if ranges else {}),
        **({"Ipv6Ranges": over_ipv6} if over_ipv6 else {}),
    }


@resource("aws:ec2/securityGroup:SecurityGroup")
class SecurityGroup(Ec2Resource):
    def create(self) -> str:
        ec2 = self.aws.ec2
        self.own = ec2.create_security_group(
            GroupName=self.inputs.get("name") or self.outputs["name"],
            Description=self.inputs["description"],
            TagSpecifications=self.tags("security-group"),
            **self.inputs.params(VpcId="vpcId"),
        )["GroupId"]
        # EC2 lets out everything; the provider takes that back.
        for everything in (
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            # Only where the network has IPv6.
            {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ):
            revoked = {"GroupId": self.own, "IpPermissions": [everything]}
            outcome(lambda revoked=revoked: ec2.revoke_security_group_egress(**revoked), _NO_RULE)
        self._rules("ingress", ec2.authorize_security_group_ingress)
        self._rules("egress", ec2.authorize_security_group_egress)
        return self.own

    def _rules(self, way: str, authorize: Callable[..., Any]) -> None:
        permissions = [_permission(rule) for rule in self.inputs.get(way) or []]
        if permissions:
            authorize(GroupId=self.own, IpPermissions=permissions)

    def read(self) -> None:
        (found,) = self.aws.ec2.describe_security_groups(GroupIds=[self.own])["SecurityGroups"]
        self.real["vpcId"] = found["VpcId"]

    def update(self) -> None:
        ec2 = self.aws.ec2
        for rule in self.inputs.get("ingress") or []:
            ec2.revoke_security_group_ingress(GroupId=self.own, IpPermissions=[_permission(rule)])
            ec2.authorize_security_group_ingress(GroupId=self.own, IpPermissions=[_permission(rule)])
        self.retag(self.own)

    def delete(self) -> None:
        # Interfaces that AWS's services left behind.
        self.aws.ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [self.own]}])
        self.aws.ec2.delete_security_group(GroupId=self.own)


@resource("aws:ec2/instance:Instance")
class Instance(Ec2Resource):
    def create(self) -> str:
        ec2 = self.aws.ec2
        inputs = self.inputs
        (image,) = ec2.describe_images(ImageIds=[inputs["ami"]])["Images"]
        made = ec2.run_instances(
            ImageId=inputs["ami"],
            MinCount=1,
            MaxCount=1,
            ClientToken="0123456789abcdef",
            BlockDeviceMappings=[{"DeviceName": image["RootDeviceName"], "Ebs": self._volume()}],
            TagSpecifications=self.tags("instance"),
            **self._network(),
            **self._market(),
            **self._user_data(),
            **inputs.params(
                InstanceType="instanceType",
                KeyName="keyName",
                EbsOptimized="ebsOptimized",
                DisableApiTermination="disableApiTermination",
                InstanceInitiatedShutdownBehavior="instanceInitiatedShutdownBehavior",
            ),
            IamInstanceProfile={"Name": inputs["iamInstanceProfile"]},
            MetadataOptions=_metadata(inputs["metadataOptions"]),
        )["Instances"][0]
        self.own = made["InstanceId"]
        self.real = {
            "availabilityZone": made["Placement"]["AvailabilityZone"],
            "subnetId": made["SubnetId"],
            "spotInstanceRequestId": made.get("SpotInstanceRequestId"),
        }
        self.aws.ec2.create_tags(
            Resources=[self._root()], Tags=tag_list(inputs["rootBlockDevice"].get("tags"))
        )
        return self.own

    def _root(self) -> str:
        (found,) = self.aws.ec2.describe_instances(InstanceIds=[self.own])["Reservations"][0]["Instances"]
        return found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

    def _volume(self) -> Dict[str, Any]:
        volume = self.inputs["rootBlockDevice"]
        return {
            "VolumeType": volume["volumeType"],
            "VolumeSize": int(volume["volumeSize"]),
            "Iops": int(volume["iops"]),
            "Throughput": int(volume["throughput"]),
            "Encrypted": volume["encrypted"],
            "DeleteOnTermination": volume["deleteOnTermination"],
            **({"KmsKeyId": volume["kmsKeyId"]} if volume.get("kmsKeyId") else {}),
        }

    def _network(self) -> Dict[str, Any]:
        inputs = self.inputs
        groups, subnet = inputs["vpcSecurityGroupIds"], inputs.get("subnetId")
        zone = inputs.get("availabilityZone")
        placement = {"Placement": {"AvailabilityZone": zone}} if zone else {}
        public = inputs.get("associatePublicIpAddress")
        if public is None:
            return {"SecurityGroupIds": groups, **({"SubnetId": subnet} if subnet else {}), **placement}
        interface = {
            "DeviceIndex": 0,
            "Groups": groups,
            "SubnetId": subnet,
            "AssociatePublicIpAddress": public,
        }
        return {"NetworkInterfaces": [interface], **placement}

    def _market(self) -> Dict[str, Any]:
        market = self.inputs.get("instanceMarketOptions")
        if market is None:
            return {}
        options = market["spotOptions"]
        return {
            "InstanceMarketOptions": {
                "MarketType": market["marketType"],
                "SpotOptions": {
                    "SpotInstanceType": options["spotInstanceType"],
                    "InstanceInterruptionBehavior": options["instanceInterruptionBehavior"],
                },
            }
        }

    def _user_data(self) -> Dict[str, Any]:
        text = self.inputs["userData"].encode()
        if len(text) > MOST_USER_DATA:
            raise ValueError(f"user data: {len(text)} bytes, at most {MOST_USER_DATA}")
        return {"UserData": base64.b64encode(text).decode()}

    def read(self) -> None:
        ec2 = self.aws.ec2
        (found,) = ec2.describe_instances(InstanceIds=[self.own])["Reservations"][0]["Instances"]
        if self.inputs.get("associatePublicIpAddress") is False and found.get("PublicIpAddress"):
            raise AssertionError(f"{self.own} has a public address")
        for attribute in ("disableApiStop", "disableApiTermination", "userData"):
            if attribute != "disableApiStop":
                ec2.describe_instance_attribute(InstanceId=self.own, Attribute=attribute)
            else:
                self.aws.check("ec2", "DescribeInstanceAttribute", InstanceId=self.own, Attribute=attribute)
        ec2.describe_instance_attribute(InstanceId=self.own, Attribute="instanceInitiatedShutdownBehavior")
        ec2.describe_volumes(VolumeIds=[self._root()])
        ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [self.own]}])
        ec2.describe_instance_types(InstanceTypes=[self.inputs["instanceType"]])
        ec2.describe_instance_credit_specifications(InstanceIds=[self.own])
        self.aws.check("ec2", "DescribeVpcs", VpcIds=[found["VpcId"]])
        self.aws.iam.get_instance_profile(InstanceProfileName=self.inputs["iamInstanceProfile"])

    def update(self) -> None:
        ec2 = self.aws.ec2
        self.retag(self.own)
        ec2.modify_instance_attribute(InstanceId=self.own, DisableApiTermination={"Value": False})
        ec2.modify_instance_attribute(
            InstanceId=self.own, InstanceInitiatedShutdownBehavior={"Value": "stop"}
        )
        ec2.modify_instance_metadata_options(InstanceId=self.own, **_metadata(self.inputs["metadataOptions"]))
        size = int(self.inputs["rootBlockDevice"]["volumeSize"])
        ec2.modify_volume(VolumeId=self._root(), Size=size + 1)
        ec2.describe_volumes_modifications(VolumeIds=[self._root()])
        # Another user data, or a larger type of the same GPU, is for an instance that is stopped.
        ec2.stop_instances(InstanceIds=[self.own])
        # moto decodes it once too often.
        data = {"Value": b"#cloud-config"}
        self.aws.check("ec2", "ModifyInstanceAttribute", InstanceId=self.own, UserData=data)
        ec2.start_instances(InstanceIds=[self.own])

    def delete(self) -> None:
        if self.inputs.get("disableApiTermination"):
            self.aws.ec2.modify_instance_attribute(
                InstanceId=self.own, DisableApiTermination={"Value": False}
            )
        self.aws.ec2.terminate_instances(InstanceIds=[self.own])


def _metadata(options: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "HttpEndpoint": options["httpEndpoint"],
        "HttpTokens": options["httpTokens"],
        "HttpPutResponseHopLimit": int(options["httpPutResponseHopLimit"]),
        "InstanceMetadataTags": options["instanceMetadataTags"],
    }


@resource("aws:ec2/eip:Eip")
class Eip(Ec2Resource):
    def create(self) -> str:
        ec2 = self.aws.ec2
        made = ec2.allocate_address(Domain=self.inputs["domain"], TagSpecifications=self.tags("elastic-ip"))
        self.own = made["AllocationId"]
        instance = self.inputs.get("instance")
        if instance is not None:
            ec2.associate_address(AllocationId=self.own, InstanceId=instance, AllowReassociation=True)
        return self.own

    def read(self) -> None:
        self._address()
        self.aws.ec2.describe_addresses_attribute(AllocationIds=[self.own], Attribute="domain-name")

    def _address(self) -> Dict[str, Any]:
        (found,) = self.aws.ec2.describe_addresses(AllocationIds=[self.own])["Addresses"]
        return found

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        association = self._address().get("AssociationId")
        if association is not None:
            self.aws.ec2.disassociate_address(AssociationId=association)
        self.aws.ec2.release_address(AllocationId=self.own)


@resource("aws:ec2/vpc:Vpc")
class Vpc(Ec2Resource):
    def create(self) -> str:
        ec2 = self.aws.ec2
        made = ec2.create_vpc(
            TagSpecifications=self.tags("vpc"),
            **self.inputs.params(
                CidrBlock="cidrBlock", AmazonProvidedIpv6CidrBlock="assignGeneratedIpv6CidrBlock"
            ),
        )["Vpc"]
        self.own = made["VpcId"]
        for name, key in (
            ("EnableDnsHostnames", "enableDnsHostnames"),
            ("EnableDnsSupport", "enableDnsSupport"),
        ):
            ec2.modify_vpc_attribute(VpcId=self.own, **{name: {"Value": self.inputs[key]}})
        (ipv6,) = made["Ipv6CidrBlockAssociationSet"]
        self.real["ipv6CidrBlock"] = ipv6["Ipv6CidrBlock"]
        return self.own

    def read(self) -> None:
        ec2 = self.aws.ec2
        ec2.describe_vpcs(VpcIds=[self.own])
        for attribute in ("enableDnsHostnames", "enableDnsSupport", "enableNetworkAddressUsageMetrics"):
            ec2.describe_vpc_attribute(VpcId=self.own, Attribute=attribute)
        own = [{"Name": "vpc-id", "Values": [self.own]}]
        ec2.describe_network_acls(Filters=[{"Name": "default", "Values": ["true"]}, *own])
        ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}, *own])
        ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}, *own])

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        self.aws.ec2.delete_vpc(VpcId=self.own)


@resource("aws:ec2/subnet:Subnet")
class Subnet(Ec2Resource):
    def create(self) -> str:
        ec2 = self.aws.ec2
        made = ec2.create_subnet(
            TagSpecifications=self.tags("subnet"),
            **self.inputs.params(
                VpcId="vpcId",
                AvailabilityZone="availabilityZone",
                CidrBlock="cidrBlock",
                Ipv6CidrBlock="ipv6CidrBlock",
            ),
        )
        self.own = made["Subnet"]["SubnetId"]
        for name, key in (
            ("AssignIpv6AddressOnCreation", "assignIpv6AddressOnCreation"),
            ("MapPublicIpOnLaunch", "mapPublicIpOnLaunch"),
        ):
            if self.inputs.get(key):
                ec2.modify_subnet_attribute(SubnetId=self.own, **{name: {"Value": True}})
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_subnets(SubnetIds=[self.own])

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        # Interfaces that AWS's services left behind.
        self.aws.ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [self.own]}])
        self.aws.ec2.delete_subnet(SubnetId=self.own)


@resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
class DefaultSecurityGroup(Ec2Resource):
    """Takes the group over that AWS makes, and its rules from it."""

    def create(self) -> str:
        ec2 = self.aws.ec2
        assert self.inputs["ingress"] == [] and self.inputs["egress"] == []
        filters = [
            {"Name": "group-name", "Values": ["default"]},
            {"Name": "vpc-id", "Values": [self.inputs["vpcId"]]},
        ]
        (found,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        self.own = found["GroupId"]
        ec2.create_tags(Resources=[self.own], Tags=tag_list(self.inputs.get("tags")))
        for permissions, revoke in (
            (found["IpPermissions"], ec2.revoke_security_group_ingress),
            (found["IpPermissionsEgress"], ec2.revoke_security_group_egress),
        ):
            if permissions:
                revoke(GroupId=self.own, IpPermissions=permissions)
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_security_groups(GroupIds=[self.own])

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        """Goes with its network."""


@resource("aws:ec2/internetGateway:InternetGateway")
class InternetGateway(Ec2Resource):
    def create(self) -> str:
        ec2 = self.aws.ec2
        made = ec2.create_internet_gateway(TagSpecifications=self.tags("internet-gateway"))
        self.own = made["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=self.own, VpcId=self.inputs["vpcId"])
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_internet_gateways(InternetGatewayIds=[self.own])

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        ec2 = self.aws.ec2
        ec2.detach_internet_gateway(InternetGatewayId=self.own, VpcId=self.inputs["vpcId"])
        ec2.delete_internet_gateway(InternetGatewayId=self.own)


@resource("aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway")
class EgressOnlyInternetGateway(Ec2Resource):
    def create(self) -> str:
        made = self.aws.ec2.create_egress_only_internet_gateway(
            VpcId=self.inputs["vpcId"], TagSpecifications=self.tags("egress-only-internet-gateway")
        )
        self.own = made["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_egress_only_internet_gateways(EgressOnlyInternetGatewayIds=[self.own])

    def delete(self) -> None:
        self.aws.ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=self.own)


@resource("aws:ec2/natGateway:NatGateway")
class NatGateway(Ec2Resource):
    def create(self) -> str:
        made = self.aws.ec2.create_nat_gateway(
            ClientToken="0123456789abcdef",
            TagSpecifications=self.tags("natgateway"),
            **self.inputs.params(AllocationId="allocationId", SubnetId="subnetId"),
        )
        self.own = made["NatGateway"]["NatGatewayId"]
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_nat_gateways(NatGatewayIds=[self.own])

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        self.aws.ec2.delete_nat_gateway(NatGatewayId=self.own)


@resource("aws:ec2/routeTable:RouteTable")
class RouteTable(Ec2Resource):
    def create(self) -> str:
        made = self.aws.ec2.create_route_table(
            VpcId=self.inputs["vpcId"],
            ClientToken="0123456789abcdef",
            TagSpecifications=self.tags("route-table"),
        )
        self.own = made["RouteTable"]["RouteTableId"]
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_route_tables(RouteTableIds=[self.own])

    def update(self) -> None:
        self.retag(self.own)

    def delete(self) -> None:
        self.aws.ec2.delete_route_table(RouteTableId=self.own)


@resource("aws:ec2/route:Route")
class Route(Ec2Resource):
    def create(self) -> str:
        self.of = {
            "RouteTableId": self.inputs["routeTableId"],
            **self.inputs.params(
                DestinationCidrBlock="destinationCidrBlock",
                DestinationIpv6CidrBlock="destinationIpv6CidrBlock",
            ),
        }
        self.aws.ec2.create_route(**self.of, **self._target())
        return "-".join(self.of.values())

    def _target(self) -> Dict[str, Any]:
        return self.inputs.params(
            GatewayId="gatewayId",
            NatGatewayId="natGatewayId",
            EgressOnlyInternetGatewayId="egressOnlyGatewayId",
        )

    def update(self) -> None:
        # As when the gateway is replaced, because another zone comes first.
        self.aws.ec2.replace_route(**self.of, **self._target())

    def read(self) -> None:
        self.aws.ec2.describe_route_tables(RouteTableIds=[self.of["RouteTableId"]])

    def delete(self) -> None:
        self.aws.ec2.delete_route(**self.of)


@resource("aws:ec2/routeTableAssociation:RouteTableAssociation")
class RouteTableAssociation(Ec2Resource):
    def create(self) -> str:
        self.own = self.aws.ec2.associate_route_table(
            **self.inputs.params(RouteTableId="routeTableId", SubnetId="subnetId")
        )["AssociationId"]
        return self.own

    def read(self) -> None:
        self.aws.ec2.describe_route_tables(RouteTableIds=[self.inputs["routeTableId"]])

    def delete(self) -> None:
        self.aws.ec2.disassociate_route_table(AssociationId=self.own)


@resource("aws:ec2/vpcEndpoint:VpcEndpoint")
class VpcEndpoint(Ec2Resource):
    def create(self) -> str:
        self.own = self.aws.ec2.create_vpc_endpoint(
            ClientToken="0123456789abcdef",
            TagSpecifications=self.tags("vpc-endpoint"),
            **self.inputs.params(
                VpcId="vpcId",
                ServiceName="serviceName",
                VpcEndpointType="vpcEndpointType",
                RouteTableIds="routeTableIds",
                SubnetIds="subnetIds",
                SecurityGroupIds="securityGroupIds",
                PrivateDnsEnabled="privateDnsEnabled",
            ),
        )["VpcEndpoint"]["VpcEndpointId"]
        return self.own

    def read(self) -> None:
        (found,) = self.aws.ec2.describe_vpc_endpoints(VpcEndpointIds=[self.own])["VpcEndpoints"]
        names = [{"Name": "prefix-list-name", "Values": [found["ServiceName"]]}]
        self.aws.check("ec2", "DescribePrefixLists", Filters=names)

    def update(self) -> None:
        self.retag(self.own)
        more = self.inputs.params(
            AddRouteTableIds="routeTableIds", AddSubnetIds="subnetIds", AddSecurityGroupIds="securityGroupIds"
        )
        self.aws.ec2.modify_vpc_endpoint(VpcEndpointId=self.own, **more)

    def delete(self) -> None:
        self.aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[self.own])


# IAM


@resource("aws:iam/role:Role")
class Role(Resource):
    def create(self) -> str:
        self.own = self.inputs.get("name") or self.outputs["name"]
        made = self.aws.iam.create_role(
            RoleName=self.own,
            Path="/",
            MaxSessionDuration=3600,
            Tags=tag_list(self.inputs.get("tags")),
            **self.inputs.params(
                AssumeRolePolicyDocument="assumeRolePolicy", PermissionsBoundary="permissionsBoundary"
            ),
        )
        self.real["arn"] = made["Role"]["Arn"]
        return self.own

    def read(self) -> None:
        iam = self.aws.iam
        iam.get_role(RoleName=self.own)
        for name in iam.list_role_policies(RoleName=self.own)["PolicyNames"]:
            iam.get_role_policy(RoleName=self.own, PolicyName=name)
        iam.list_attached_role_policies(RoleName=self.own)

    def update(self) -> None:
        iam = self.aws.iam
        iam.update_assume_role_policy(RoleName=self.own, PolicyDocument=self.inputs["assumeRolePolicy"])
        iam.tag_role(RoleName=self.own, Tags=[{"Key": "team", "Value": "inference"}])
        iam.untag_role(RoleName=self.own, TagKeys=["former"])
        boundary = self.inputs.get("permissionsBoundary")
        if boundary is not None:
            iam.put_role_permissions_boundary(RoleName=self.own, PermissionsBoundary=boundary)

    def delete(self) -> None:
        iam = self.aws.iam
        iam.list_instance_profiles_for_role(RoleName=self.own)
        iam.delete_role(RoleName=self.own)


@resource("aws:iam/rolePolicy:RolePolicy")
class RolePolicy(Resource):
    def create(self) -> str:
        self.of = {
            "RoleName": self.inputs["role"],
            "PolicyName": self.inputs.get("name") or self.outputs["name"],
        }
        self.aws.iam.put_role_policy(PolicyDocument=self.inputs["policy"], **self.of)
        return f"{self.of['RoleName']}:{self.of['PolicyName']}"

    def read(self) -> None:
        self.aws.iam.get_role_policy(**self.of)

    def delete(self) -> None:
        self.aws.iam.delete_role_policy(**self.of)


@resource("aws:iam/policy:Policy")
class Policy(Resource):
    """https://github.com/hashicorp/terraform-provider-aws/blob/v6.0.0/internal/service/iam/policy.go"""

    def create(self) -> str:
        made = self.aws.iam.create_policy(
            PolicyName=self.inputs.get("name") or self.outputs["name"],
            PolicyDocument=self.inputs["policy"],
            Path="/",
            Tags=tag_list(self.inputs.get("tags")),
        )
        self.own = made["Policy"]["Arn"]
        self.real["arn"] = self.own
        return self.own

    def read(self) -> None:
        iam = self.aws.iam
        version = iam.get_policy(PolicyArn=self.own)["Policy"]["DefaultVersionId"]
        iam.get_policy_version(PolicyArn=self.own, VersionId=version)

    def update(self) -> None:
        iam = self.aws.iam
        # IAM keeps 5 versions; the provider makes room for the next one.
        first = iam.list_policy_versions(PolicyArn=self.own)["Versions"][0]["VersionId"]
        iam.create_policy_version(PolicyArn=self.own, PolicyDocument=self.inputs["policy"], SetAsDefault=True)
        iam.delete_policy_version(PolicyArn=self.own, VersionId=first)
        iam.tag_policy(PolicyArn=self.own, Tags=[{"Key": "team", "Value": "inference"}])
        iam.untag_policy(PolicyArn=self.own, TagKeys=["former"])

    def delete(self) -> None:
        iam = self.aws.iam
        iam.list_policy_versions(PolicyArn=self.own)
        iam.delete_policy(PolicyArn=self.own)


@resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
class RolePolicyAttachment(Resource):
    def create(self) -> str:
        self.of = {"RoleName": self.inputs["role"], "PolicyArn": self.inputs["policyArn"]}
        self.aws.iam.attach_role_policy(**self.of)
        return f"{self.of['RoleName']}/{self.of['PolicyArn']}"

    def read(self) -> None:
        self.aws.iam.list_attached_role_policies(RoleName=self.of["RoleName"])

    def delete(self) -> None:
        self.aws.iam.detach_role_policy(**self.of)


@resource("aws:iam/instanceProfile:InstanceProfile")
class InstanceProfile(Resource):
    def create(self) -> str:
        iam = self.aws.iam
        self.own = self.inputs.get("name") or self.outputs["name"]
        iam.create_instance_profile(
            InstanceProfileName=self.own, Path="/", Tags=tag_list(self.inputs.get("tags"))
        )
        iam.add_role_to_instance_profile(InstanceProfileName=self.own, RoleName=self.inputs["role"])
        return self.own

    def read(self) -> None:
        self.aws.iam.get_instance_profile(InstanceProfileName=self.own)
        self.aws.iam.get_role(RoleName=self.inputs["role"])

    def update(self) -> None:
        iam = self.aws.iam
        iam.tag_instance_profile(InstanceProfileName=self.own, Tags=[{"Key": "team", "Value": "inference"}])
        iam.untag_instance_profile(InstanceProfileName=self.own, TagKeys=["former"])

    def delete(self) -> None:
        iam = self.aws.iam
        iam.remove_role_from_instance_profile(InstanceProfileName=self.own, RoleName=self.inputs["role"])
        iam.delete_instance_profile(InstanceProfileName=self.own)


# Parameters, keys


@resource("aws:ssm/parameter:Parameter")
class Parameter(Resource):
    def create(self) -> str:
        self.own = self.inputs["name"]
        self.aws.ssm.put_parameter(
            Name=self.own,
            Overwrite=False,
            Tags=tag_list(self.inputs.get("tags")),
            **self.inputs.params(Type="type", Value="value", KeyId="keyId"),
        )
        return self.own

    def read(self) -> None:
        ssm = self.aws.ssm
        found = ssm.get_parameter(Name=self.own, WithDecryption=True)["Parameter"]
        self.real["arn"] = found["ARN"]
        ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [self.own]}])
        ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=self.own)

    def update(self) -> None:
        ssm = self.aws.ssm
        ssm.put_parameter(
            Name=self.own, Overwrite=True, **self.inputs.params(Type="type", Value="value", KeyId="keyId")
        )
        of = {"ResourceType": "Parameter", "ResourceId": self.own}
        ssm.add_tags_to_resource(Tags=[{"Key": "team", "Value": "inference"}], **of)
        ssm.remove_tags_from_resource(TagKeys=["former"], **of)

    def delete(self) -> None:
        self.aws.ssm.delete_parameter(Name=self.own)


@resource("aws:kms/grant:Grant")
class Grant(Resource):
    def create(self) -> str:
        made = self.aws.kms.create_grant(
            **self.inputs.params(KeyId="keyId", GranteePrincipal="granteePrincipal", Operations="operations")
        )
        self.own = made["GrantId"]
        self.real["grantId"] = self.own
        return f"{self.inputs['keyId']}:{self.own}"

    def read(self) -> None:
        pages(self.aws.kms, "list_grants", "Grants", KeyId=self.inputs["keyId"])

    def delete(self) -> None:
        self.aws.kms.revoke_grant(KeyId=self.inputs["keyId"], GrantId=self.own)


# ECR


@resource("aws:ecr/repository:Repository")
class Repository(Resource):
    def create(self) -> str:
        inputs = self.inputs
        (encryption,) = inputs["encryptionConfigurations"]
        key = {"kmsKey": encryption["kmsKey"]} if encryption.get("kmsKey") else {}
        self.own = inputs.get("name") or self.outputs["name"]
        made = self.aws.ecr.create_repository(
            repositoryName=self.own,
            imageTagMutability=inputs["imageTagMutability"],
            imageScanningConfiguration={"scanOnPush": inputs["imageScanningConfiguration"]["scanOnPush"]},
            encryptionConfiguration={"encryptionType": encryption["encryptionType"], **key},
            tags=tag_list(inputs.get("tags")),
        )["repository"]
        self.real = {"arn": made["repositoryArn"], "repositoryUrl": made["repositoryUri"]}
        return self.own

    def read(self) -> None:
        self.aws.ecr.describe_repositories(repositoryNames=[self.own])
        self.aws.ecr.list_tags_for_resource(resourceArn=self.real["arn"])

    def update(self) -> None:
        ecr = self.aws.ecr
        ecr.put_image_tag_mutability(
            repositoryName=self.own, imageTagMutability=self.inputs["imageTagMutability"]
        )
        ecr.put_image_scanning_configuration(
            repositoryName=self.own, imageScanningConfiguration={"scanOnPush": True}
        )
        ecr.tag_resource(resourceArn=self.real["arn"], tags=[{"Key": "team", "Value": "inference"}])
        ecr.untag_resource(resourceArn=self.real["arn"], tagKeys=["former"])

    def delete(self) -> None:
        self.aws.ecr.delete_repository(repositoryName=self.own, force=self.inputs["forceDelete"])


@resource("aws:ecr/lifecyclePolicy:LifecyclePolicy")
class LifecyclePolicy(Resource):
    def create(self) -> str:
        self.own = self.inputs["repository"]
        self.aws.ecr.put_lifecycle_policy(repositoryName=self.own, lifecyclePolicyText=self.inputs["policy"])
        return self.own

    def read(self) -> None:
        self.aws.ecr.get_lifecycle_policy(repositoryName=self.own)

    def delete(self) -> None:
        self.aws.ecr.delete_lifecycle_policy(repositoryName=self.own)


# S3


@resource("aws:s3/bucket:Bucket")
class Bucket(Resource):
    def create(self) -> str:
        self.own = self.inputs.get("bucket") or self.outputs["bucket"]
        place = (
            {}
            if self.aws.region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": self.aws.region}}
        )
        self.aws.s3.create_bucket(Bucket=self.own, **place)
        self._tag(self.inputs.get("tags"))
        return self.own

    def _tag(self, tags: Dict[str, str]) -> None:
        self.aws.s3.put_bucket_tagging(Bucket=self.own, Tagging={"TagSet": tag_list(tags)})

    def read(self) -> None:
        s3 = self.aws.s3
        s3.head_bucket(Bucket=self.own)
        s3.get_bucket_location(Bucket=self.own)
        # The provider reads all that a bucket can have, whether the stack sets it or not.
        for read in (
            s3.get_bucket_policy,
            s3.get_bucket_acl,
            s3.get_bucket_cors,
            s3.get_bucket_website,
            s3.get_bucket_versioning,
            s3.get_bucket_accelerate_configuration,
            s3.get_bucket_request_payment,
            s3.get_bucket_logging,
            s3.get_bucket_lifecycle_configuration,
            s3.get_bucket_replication,
            s3.get_bucket_encryption,
            s3.get_object_lock_configuration,
            s3.get_bucket_tagging,
        ):
            outcome(lambda read=read: read(Bucket=self.own), *NOT_SET)

    def update(self) -> None:
        self._tag({"team": "inference"})

    def delete(self) -> None:
        # forceDestroy
        assert self.inputs["forceDestroy"]
        left = self.aws.s3.list_object_versions(Bucket=self.own)
        found = left.get("Versions", []) + left.get("DeleteMarkers", [])
        if found:
            self._delete_objects(found)
        self.aws.s3.delete_bucket(Bucket=self.own)

    def _delete_objects(self, found: List[Dict[str, Any]]) -> None:
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        self.aws.s3.delete_objects(Bucket=self.own, Delete={"Objects": objects, "Quiet": True})


#: What S3 says of something that a bucket does not have.
NOT_SET = (
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchWebsiteConfiguration",
    "NoSuchLifecycleConfiguration",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchTagSet",
)


class BucketPart(Resource):
    """Something that a bucket has once: put, got and deleted."""

    def put(self) -> None:
        raise NotImplementedError

    def create(self) -> str:
        self.own = self.inputs["bucket"]
        self.put()
        return self.own

    def update(self) -> None:
        self.put()


@resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
class BucketPublicAccessBlock(BucketPart):
    def put(self) -> None:
        configuration = self.inputs.params(
            BlockPublicAcls="blockPublicAcls",
            BlockPublicPolicy="blockPublicPolicy",
            IgnorePublicAcls="ignorePublicAcls",
            RestrictPublicBuckets="restrictPublicBuckets",
        )
        self.aws.s3.put_public_access_block(Bucket=self.own, PublicAccessBlockConfiguration=configuration)

    def read(self) -> None:
        self.aws.s3.get_public_access_block(Bucket=self.own)

    def delete(self) -> None:
        self.aws.s3.delete_public_access_block(Bucket=self.own)


@resource("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
class BucketOwnershipControls(BucketPart):
    def put(self) -> None:
        rules = [{"ObjectOwnership": self.inputs["rule"]["objectOwnership"]}]
        self.aws.s3.put_bucket_ownership_controls(Bucket=self.own, OwnershipControls={"Rules": rules})

    def read(self) -> None:
        self.aws.s3.get_bucket_ownership_controls(Bucket=self.own)

    def delete(self) -> None:
        self.aws.s3.delete_bucket_ownership_controls(Bucket=self.own)


@resource("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
class BucketEncryption(BucketPart):
    def put(self) -> None:
        rules = []
        for rule in self.inputs["rules"]:
            usual = rule["applyServerSideEncryptionByDefault"]
            key = {"KMSMasterKeyID": usual["kmsMasterKeyId"]} if usual.get("kmsMasterKeyId") else {}
            default = {"SSEAlgorithm": usual["sseAlgorithm"], **key}
            rules.append(
                {
                    "ApplyServerSideEncryptionByDefault": default,
                    "BucketKeyEnabled": rule.get("bucketKeyEnabled", False),
                }
            )
        self.aws.s3.put_bucket_encryption(Bucket=self.own, ServerSideEncryptionConfiguration={"Rules": rules})

    def read(self) -> None:
        self.aws.s3.get_bucket_encryption(Bucket=self.own)

    def delete(self) -> None:
        self.aws.s3.delete_bucket_encryption(Bucket=self.own)


@resource("aws:s3/bucketPolicy:BucketPolicy")
class BucketPolicy(BucketPart):
    def put(self) -> None:
        self.aws.s3.put_bucket_policy(Bucket=self.own, Policy=self.inputs["policy"])

    def read(self) -> None:
        self.aws.s3.get_bucket_policy(Bucket=self.own)

    def delete(self) -> None:
        self.aws.s3.delete_bucket_policy(Bucket=self.own)


@resource("aws:s3/bucketVersioning:BucketVersioning")
class BucketVersioning(BucketPart):
    def put(self) -> None:
        self._set(self.inputs["versioningConfiguration"]["status"])

    def _set(self, status: str) -> None:
        self.aws.s3.put_bucket_versioning(Bucket=self.own, VersioningConfiguration={"Status": status})

    def read(self) -> None:
        self.aws.s3.get_bucket_versioning(Bucket=self.own)

    def delete(self) -> None:
        self._set("Suspended")


@resource("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
class BucketLifecycle(BucketPart):
    def put(self) -> None:
        rules = [
            {
                "ID": rule["id"],
                "Status": rule["status"],
                "Filter": {"Prefix": rule["filter"]["prefix"]},
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": int(rule["noncurrentVersionExpiration"]["noncurrentDays"])
                },
                "AbortIncompleteMultipartUpload": {
                    "DaysAfterInitiation": int(rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"])
                },
            }
            for rule in self.inputs["rules"]
        ]
        self.aws.s3.put_bucket_lifecycle_configuration(
            Bucket=self.own, LifecycleConfiguration={"Rules": rules}
        )

    def read(self) -> None:
        self.aws.s3.get_bucket_lifecycle_configuration(Bucket=self.own)

    def delete(self) -> None:
        self.aws.s3.delete_bucket_lifecycle(Bucket=self.own)


@resource("aws:s3/bucketObjectv2:BucketObjectv2")
class BucketObject(Resource):
    def create(self) -> str:
        self.of = {"Bucket": self.inputs["bucket"], "Key": self.inputs["key"]}
        self.inputs.get("source")
        content = self.inputs.get("content") or "a model"
        self.real["etag"] = self.aws.s3.put_object(Body=content.encode(), **self.of)["ETag"].strip('"')
        return self.of["Key"]

    def read(self) -> None:
        self.aws.s3.head_object(**self.of)
        self.aws.s3.get_object_tagging(**self.of)

    def delete(self) -> None:
        s3 = self.aws.s3
        for each in s3.list_object_versions(Bucket=self.of["Bucket"], Prefix=self.of["Key"])["Versions"]:
            s3.delete_object(VersionId=each["VersionId"], **self.of)


# Monitoring


@resource("aws:cloudwatch/logGroup:LogGroup")
class LogGroup(Resource):
    def create(self) -> str:
        logs = self.aws.logs
        self.own = self.inputs.get("name") or self.outputs["name"]
        logs.create_log_group(
            logGroupName=self.own,
            tags=self.inputs.get("tags"),
            **self.inputs.params(kmsKeyId="kmsKeyId"),
        )
        logs.put_retention_policy(logGroupName=self.own, retentionInDays=int(self.inputs["retentionInDays"]))
        return self.own

    def read(self) -> None:
        found = self.aws.logs.describe_log_groups(logGroupNamePrefix=self.own)["logGroups"]
        self.real["arn"] = found[0]["arn"].removesuffix(":*")
        self.aws.logs.list_tags_for_resource(resourceArn=self.real["arn"])

    def update(self) -> None:
        logs = self.aws.logs
        logs.tag_resource(resourceArn=self.real["arn"], tags={"team": "inference"})
        logs.untag_resource(resourceArn=self.real["arn"], tagKeys=["former"])
        key = self.inputs.get("kmsKeyId")
        if key is not None:
            self.aws.check("logs", "AssociateKmsKey", logGroupName=self.own, kmsKeyId=key)
            self.aws.check("logs", "DisassociateKmsKey", logGroupName=self.own)

    def delete(self) -> None:
        self.aws.logs.delete_log_group(logGroupName=self.own)


def _dimensions(values: Dict[str, str]) -> List[Dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def _query(query: Dict[str, Any]) -> Dict[str, Any]:
    made: Dict[str, Any] = {"Id": query["id"], "ReturnData": query["returnData"]}
    for key, parameter in (("expression", "Expression"), ("label", "Label")):
        if query.get(key):
            made[parameter] = query[key]
    metric = query.get("metric")
    if metric is not None:
        made["MetricStat"] = {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                "Dimensions": _dimensions(metric["dimensions"]),
            },
            "Period": int(metric["period"]),
            "Stat": metric["stat"],
        }
    return made


@resource("aws:cloudwatch/metricAlarm:MetricAlarm")
class MetricAlarm(Resource):
    def create(self) -> str:
        inputs = self.inputs
        self.own = inputs.get("name") or self.outputs["name"]
        params = inputs.params(
            AlarmDescription="alarmDescription",
            ComparisonOperator="comparisonOperator",
            Threshold="threshold",
            TreatMissingData="treatMissingData",
            AlarmActions="alarmActions",
            OKActions="okActions",
            Namespace="namespace",
            MetricName="metricName",
            Statistic="statistic",
        )
        counts = inputs.params(
            EvaluationPeriods="evaluationPeriods", DatapointsToAlarm="datapointsToAlarm", Period="period"
        )
        params.update({name: int(value) for name, value in counts.items()})
        if inputs.get("dimensions"):
            params["Dimensions"] = _dimensions(inputs["dimensions"])
        if inputs.get("metricQueries"):
            params["Metrics"] = [_query(each) for each in inputs["metricQueries"]]
        self.aws.cloudwatch.put_metric_alarm(
            AlarmName=self.own, ActionsEnabled=True, Tags=tag_list(inputs.get("tags")), **params
        )
        return self.own

    def read(self) -> None:
        (found,) = self.aws.cloudwatch.describe_alarms(AlarmNames=[self.own])["MetricAlarms"]
        self.real["arn"] = found["AlarmArn"]
        self.aws.cloudwatch.list_tags_for_resource(ResourceARN=self.real["arn"])

    def update(self) -> None:
        own = self.real["arn"]
        self.aws.cloudwatch.tag_resource(ResourceARN=own, Tags=[{"Key": "team", "Value": "inference"}])
        self.aws.cloudwatch.untag_resource(ResourceARN=own, TagKeys=["former"])

    def delete(self) -> None:
        self.aws.cloudwatch.delete_alarms(AlarmNames=[self.own])


@resource("aws:cloudwatch/compositeAlarm:CompositeAlarm")
class CompositeAlarm(Resource):
    def create(self) -> str:
        self.own = self.inputs["alarmName"]
        suppressor = self.inputs.get("actionsSuppressor") or {}
        params = {
            "AlarmName": self.own,
            "ActionsEnabled": True,
            "Tags": tag_list(self.inputs.get("tags")),
            "ActionsSuppressor": suppressor["alarm"],
            "ActionsSuppressorWaitPeriod": int(suppressor["waitPeriod"]),
            "ActionsSuppressorExtensionPeriod": int(suppressor["extensionPeriod"]),
            **self.inputs.params(
                AlarmDescription="alarmDescription",
                AlarmRule="alarmRule",
                AlarmActions="alarmActions",
                OKActions="okActions",
            ),
        }
        # moto does not know it.
        self.aws.check("cloudwatch", "PutCompositeAlarm", **params)
        return self.own

    def read(self) -> None:
        self.aws.cloudwatch.describe_alarms(AlarmNames=[self.own], AlarmTypes=["CompositeAlarm"])
        self.aws.check("cloudwatch", "ListTagsForResource", ResourceARN=self.outputs["arn"])

    def delete(self) -> None:
        self.aws.check("cloudwatch", "DeleteAlarms", AlarmNames=[self.own])


@resource("aws:scheduler/scheduleGroup:ScheduleGroup")
class ScheduleGroup(Resource):
    def create(self) -> str:
        self.own = self.inputs.get("name") or self.outputs["name"]
        made = self.aws.scheduler.create_schedule_group(Name=self.own, Tags=tag_list(self.inputs.get("tags")))
        self.real["arn"] = made["ScheduleGroupArn"]
        return self.own

    def read(self) -> None:
        self.aws.scheduler.get_schedule_group(Name=self.own)
        self.aws.scheduler.list_tags_for_resource(ResourceArn=self.real["arn"])

    def update(self) -> None:
        scheduler, own = self.aws.scheduler, self.real["arn"]
        scheduler.tag_resource(ResourceArn=own, Tags=[{"Key": "team", "Value": "inference"}])
        scheduler.untag_resource(ResourceArn=own, TagKeys=["former"])

    def delete(self) -> None:
        self.aws.scheduler.delete_schedule_group(Name=self.own)


@resource("aws:scheduler/schedule:Schedule")
class Schedule(Resource):
    def params(self) -> Dict[str, Any]:
        target = self.inputs["target"]
        retries = target["retryPolicy"]
        return {
            "Name": self.inputs.get("name") or self.outputs["name"],
            "GroupName": self.inputs["groupName"],
            "State": "ENABLED",
            "FlexibleTimeWindow": {"Mode": self.inputs["flexibleTimeWindow"]["mode"]},
            "Target": {
                "Arn": target["arn"],
                "RoleArn": target["roleArn"],
                "Input": target["input"],
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": int(retries["maximumEventAgeInSeconds"]),
                    "MaximumRetryAttempts": int(retries["maximumRetryAttempts"]),
                },
            },
            **self.inputs.params(
                Description="description",
                ScheduleExpression="scheduleExpression",
                ScheduleExpressionTimezone="scheduleExpressionTimezone",
            ),
        }

    def create(self) -> str:
        self.own = {key: self.params()[key] for key in ("Name", "GroupName")}
        self.aws.scheduler.create_schedule(**self.params())
        return f"{self.own['GroupName']}/{self.own['Name']}"

    def read(self) -> None:
        self.aws.scheduler.get_schedule(**self.own)

    def update(self) -> None:
        self.aws.scheduler.update_schedule(**self.params())

    def delete(self) -> None:
        self.aws.scheduler.delete_schedule(**self.own)


@resource("aws:budgets/budget:Budget")
class Budget(Resource):
    def create(self) -> str:
        inputs = self.inputs
        self.own = {"AccountId": self.outputs["accountId"], "BudgetName": self.outputs["name"]}
        filters = [
            {
                "Tags": {
                    "Key": each["tags"]["key"],
                    "Values": each["tags"]["values"],
                    "MatchOptions": each["tags"]["matchOptions"],
                }
            }
            for each in inputs["filterExpression"]["ands"]
        ]
        self.aws.budgets.create_budget(
            AccountId=self.own["AccountId"],
            Budget={
                "BudgetName": self.own["BudgetName"],
                "BudgetLimit": {"Amount": inputs["limitAmount"], "Unit": inputs["limitUnit"]},
                "BudgetType": inputs["budgetType"],
                "TimeUnit": inputs["timeUnit"],
                "FilterExpression": {"And": filters},
                "Metrics": [inputs["metrics"]],
            },
            ResourceTags=tag_list(inputs.get("tags")),
        )
        for each in inputs["notifications"]:
            self.aws.budgets.create_notification(
                **self.own,
                Notification={
                    "NotificationType": each["notificationType"],
                    "ComparisonOperator": each["comparisonOperator"],
                    "Threshold": each["threshold"],
                    "ThresholdType": each["thresholdType"],
                },
                Subscribers=[
                    {"SubscriptionType": "EMAIL", "Address": address}
                    for address in each["subscriberEmailAddresses"]
                ],
            )
        return f"{self.own['AccountId']}:{self.own['BudgetName']}"

    def read(self) -> None:
        self.aws.budgets.describe_budget(**self.own)
        self.aws.budgets.describe_notifications_for_budget(**self.own)
        self.aws.check("budgets", "ListTagsForResource", ResourceARN=self.outputs["arn"])

    def update(self) -> None:
        own = self.outputs["arn"]
        self.aws.check(
            "budgets", "TagResource", ResourceARN=own, ResourceTags=[{"Key": "team", "Value": "a"}]
        )
        self.aws.check("budgets", "UntagResource", ResourceARN=own, ResourceTagKeys=["former"])

    def delete(self) -> None:
        self.aws.budgets.delete_budget(**self.own)


@resource("aws:cloudwatch/dashboard:Dashboard")
class Dashboard(Resource):
    def create(self) -> str:
        self.own = self.inputs["dashboardName"]
        # Neither moto nor botocore's model knows that:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", self.own):
            raise ValueError(f"{self.own}: not a name of a dashboard")
        answer = self.aws.cloudwatch.put_dashboard(
            DashboardName=self.own, DashboardBody=self.inputs["dashboardBody"]
        )
        assert not answer.get("DashboardValidationMessages"), answer
        return self.own

    def read(self) -> None:
        self.aws.cloudwatch.get_dashboard(DashboardName=self.own)

    def delete(self) -> None:
        self.aws.cloudwatch.delete_dashboards(DashboardNames=[self.own])


@resource("aws:cloudwatch/eventRule:EventRule")
class EventRule(Resource):
    def create(self) -> str:
        self.own = self.inputs.get("name") or self.outputs["name"]
        made = self.aws.events.put_rule(
            Name=self.own,
            State="ENABLED",
            EventBusName="default",
            Tags=tag_list(self.inputs.get("tags")),
            **self.inputs.params(
                Description="description",
                EventPattern="eventPattern",
                ScheduleExpression="scheduleExpression",
            ),
        )
        self.real["arn"] = made["RuleArn"]
        return self.own

    def read(self) -> None:
        self.aws.events.describe_rule(Name=self.own, EventBusName="default")
        self.aws.events.list_tags_for_resource(ResourceARN=self.real["arn"])

    def update(self) -> None:
        own = self.real["arn"]
        self.aws.events.tag_resource(ResourceARN=own, Tags=[{"Key": "team", "Value": "inference"}])
        self.aws.events.untag_resource(ResourceARN=own, TagKeys=["former"])

    def delete(self) -> None:
        self.aws.events.delete_rule(Name=self.own, EventBusName="default", Force=False)


@resource("aws:cloudwatch/eventTarget:EventTarget")
class EventTarget(Resource):
    def create(self) -> str:
        self.rule, self.own = self.inputs["rule"], self.outputs["targetId"]
        target = {
            "Id": self.own,
            **self.inputs.params(Arn="arn", RoleArn="roleArn", Input="input"),
        }
        answer = self.aws.events.put_targets(Rule=self.rule, EventBusName="default", Targets=[target])
        assert answer["FailedEntryCount"] == 0, answer
        return f"{self.rule}-{self.own}"

    def read(self) -> None:
        self.aws.events.list_targets_by_rule(Rule=self.rule, EventBusName="default")

    def delete(self) -> None:
        self.aws.events.remove_targets(Rule=self.rule, EventBusName="default", Ids=[self.own], Force=False)


@resource("aws:sns/topic:Topic")
class Topic(Resource):
    def create(self) -> str:
        self.own = self.aws.sns.create_topic(
            Name=self.inputs.get("name") or self.outputs["name"],
            Attributes=self.inputs.params(KmsMasterKeyId="kmsMasterKeyId"),
            Tags=tag_list(self.inputs.get("tags")),
        )["TopicArn"]
        self.real["arn"] = self.own
        return self.own

    def read(self) -> None:
        self.aws.sns.get_topic_attributes(TopicArn=self.own)
        self.aws.sns.list_tags_for_resource(ResourceArn=self.own)

    def update(self) -> None:
        sns = self.aws.sns
        sns.set_topic_attributes(
            TopicArn=self.own,
            AttributeName="KmsMasterKeyId",
            AttributeValue=self.inputs.get("kmsMasterKeyId") or "",
        )
        sns.tag_resource(ResourceArn=self.own, Tags=[{"Key": "team", "Value": "inference"}])
        sns.untag_resource(ResourceArn=self.own, TagKeys=["former"])

    def delete(self) -> None:
        self.aws.sns.delete_topic(TopicArn=self.own)


@resource("aws:sns/topicSubscription:TopicSubscription")
class TopicSubscription(Resource):
    def create(self) -> str:
        self.own = self.aws.sns.subscribe(
            ReturnSubscriptionArn=True,
            Attributes={},
            **self.inputs.params(TopicArn="topic", Protocol="protocol", Endpoint="endpoint"),
        )["SubscriptionArn"]
        self.real["arn"] = self.own
        return self.own

    def read(self) -> None:
        self.aws.sns.get_subscription_attributes(SubscriptionArn=self.own)

    def delete(self) -> None:
        self.aws.sns.unsubscribe(SubscriptionArn=self.own)


#: What the provider's functions call, each with its inputs, and what they answer that the dump makes up.
# Load balancers, and what their names and certificates need.


class ElbResource(Resource):
    """Of Elastic Load Balancing: its API tags everything in the same way."""

    def retag(self) -> None:
        self.aws.elbv2.add_tags(ResourceArns=[self.own], Tags=[{"Key": "team", "Value": "inference"}])
        self.aws.elbv2.remove_tags(ResourceArns=[self.own], TagKeys=["former"])

    def read_tags(self) -> None:
        self.aws.elbv2.describe_tags(ResourceArns=[self.own])

    def create_tags(self) -> Dict[str, Any]:
        return {"Tags": tag_list(self.inputs.get("tags"))}


def _attributes(**values: Any) -> List[Dict[str, str]]:
    return [
        {"Key": key.replace("__", "."), "Value": str(value).lower()}
        for key, value in values.items()
        if value is not None
    ]


@resource("aws:lb/loadBalancer:LoadBalancer")
class LoadBalancer(ElbResource):
    def create(self) -> str:
        inputs = self.inputs
        assert inputs["loadBalancerType"] == "network"
        name = inputs.get("name") or self.outputs["name"]
        made = self.aws.elbv2.create_load_balancer(
            Name=name,
            Type="network",
            Scheme="internal" if inputs["internal"] else "internet-facing",
            **inputs.params(
                Subnets="subnets", SecurityGroups="securityGroups", IpAddressType="ipAddressType"
            ),
            **self.create_tags(),
        )["LoadBalancers"][0]
        self.own = made["LoadBalancerArn"]
        self._attributes()
        self.real = {
            "arn": self.own,
            "dnsName": made["DNSName"],
            "zoneId": made["CanonicalHostedZoneId"],
            "vpcId": made["VpcId"],
        }
        return self.own

    def _attributes(self) -> None:
        self.aws.elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=self.own,
            Attributes=_attributes(
                deletion_protection__enabled=self.inputs["enableDeletionProtection"],
                load_balancing__cross_zone__enabled=self.inputs["enableCrossZoneLoadBalancing"],
            ),
        )

    def read(self) -> None:
        elb = self.aws.elbv2
        (found,) = elb.describe_load_balancers(LoadBalancerArns=[self.own])["LoadBalancers"]
        if found["SecurityGroups"] != self.inputs["securityGroups"]:
            raise AssertionError(f"{self.own} has not the group that it was given at its creation")
        elb.describe_load_balancer_attributes(LoadBalancerArn=self.own)
        elb.describe_capacity_reservation(LoadBalancerArn=self.own)
        self.read_tags()

    def update(self) -> None:
        elb = self.aws.elbv2
        self._attributes()
        elb.set_security_groups(LoadBalancerArn=self.own, SecurityGroups=self.inputs["securityGroups"])
        self.aws.check("elbv2", "SetSubnets", LoadBalancerArn=self.own, Subnets=self.inputs["subnets"])
        self.retag()

    def delete(self) -> None:
        elb = self.aws.elbv2
        if self.inputs["enableDeletionProtection"]:
            off = _attributes(deletion_protection__enabled=False)
            elb.modify_load_balancer_attributes(LoadBalancerArn=self.own, Attributes=off)
        elb.delete_load_balancer(LoadBalancerArn=self.own)
        # Its interfaces outlive it a little.
        name = self.own.split("loadbalancer/")[1]
        self.aws.ec2.describe_network_interfaces(
            Filters=[
                {"Name": "attachment.instance-owner-id", "Values": ["amazon-aws"]},
                {"Name": "description", "Values": [f"ELB {name}"]},
            ]
        )


@resource("aws:lb/targetGroup:TargetGroup")
class TargetGroup(ElbResource):
    def create(self) -> str:
        inputs = self.inputs
        self.own = self.aws.elbv2.create_target_group(
            Name=inputs.get("name") or self.outputs["name"],
            Port=int(inputs["port"]),
            **inputs.params(Protocol="protocol", VpcId="vpcId", TargetType="targetType"),
            **self._health(),
            **self.create_tags(),
        )["TargetGroups"][0]["TargetGroupArn"]
        self._attributes()
        self.real["arn"] = self.own
        return self.own

    def _health(self) -> Dict[str, Any]:
        check = self.inputs["healthCheck"]
        return {
            "HealthCheckEnabled": True,
            "HealthCheckProtocol": check["protocol"],
            "HealthCheckPort": check["port"],
            "HealthCheckPath": check["path"],
            "HealthCheckIntervalSeconds": int(check["interval"]),
            "HealthCheckTimeoutSeconds": int(check["timeout"]),
            "HealthyThresholdCount": int(check["healthyThreshold"]),
            "UnhealthyThresholdCount": int(check["unhealthyThreshold"]),
            "Matcher": {"HttpCode": check["matcher"]},
        }

    def _attributes(self) -> None:
        (states,) = self.inputs["targetHealthStates"]
        self.aws.elbv2.modify_target_group_attributes(
            TargetGroupArn=self.own,
            Attributes=_attributes(
                deregistration_delay__timeout_seconds=int(self.inputs["deregistrationDelay"]),
                deregistration_delay__connection_termination__enabled=self.inputs["connectionTermination"],
                target_health_state__unhealthy__connection_termination__enabled=states[
                    "enableUnhealthyConnectionTermination"
                ],
                target_health_state__unhealthy__draining_interval_seconds=int(
                    states["unhealthyDrainingInterval"]
                ),
            ),
        )

    def read(self) -> None:
        elb = self.aws.elbv2
        elb.describe_target_groups(TargetGroupArns=[self.own])
        elb.describe_target_group_attributes(TargetGroupArn=self.own)
        self.read_tags()

    def update(self) -> None:
        changed = {key: value for key, value in self._health().items() if key != "HealthCheckEnabled"}
        self.aws.elbv2.modify_target_group(TargetGroupArn=self.own, **changed)
        self._attributes()
        self.retag()

    def delete(self) -> None:
        self.aws.elbv2.delete_target_group(TargetGroupArn=self.own)


@resource("aws:lb/listener:Listener")
class Listener(ElbResource):
    def create(self) -> str:
        made = self.aws.elbv2.create_listener(
            LoadBalancerArn=self.inputs["loadBalancerArn"], **self._settings(), **self.create_tags()
        )["Listeners"][0]
        self.own = made["ListenerArn"]
        self.real["arn"] = self.own
        return self.own

    def _settings(self) -> Dict[str, Any]:
        inputs = self.inputs
        (action,) = inputs["defaultActions"]
        return {
            "Port": int(inputs["port"]),
            "Protocol": inputs["protocol"],
            "SslPolicy": inputs["sslPolicy"],
            "AlpnPolicy": [inputs["alpnPolicy"]],
            "Certificates": [{"CertificateArn": inputs["certificateArn"]}],
            "DefaultActions": [{"Type": action["type"], "TargetGroupArn": action["targetGroupArn"]}],
        }

    def read(self) -> None:
        elb = self.aws.elbv2
        elb.describe_listeners(ListenerArns=[self.own])
        elb.describe_listener_attributes(ListenerArn=self.own)
        self.read_tags()

    def update(self) -> None:
        # moto changes none that has TLS.
        self.aws.check("elbv2", "ModifyListener", ListenerArn=self.own, **self._settings())
        self.retag()

    def delete(self) -> None:
        self.aws.elbv2.delete_listener(ListenerArn=self.own)


@resource("aws:lb/targetGroupAttachment:TargetGroupAttachment")
class TargetGroupAttachment(Resource):
    def create(self) -> str:
        inputs = self.inputs
        self.of = {
            "TargetGroupArn": inputs["targetGroupArn"],
            "Targets": [{"Id": inputs["targetId"], "Port": int(inputs["port"])}],
        }
        self.aws.elbv2.register_targets(**self.of)
        return f"{inputs['targetGroupArn']}-{inputs['targetId']}"

    def read(self) -> None:
        self.aws.elbv2.describe_target_health(**self.of)

    def delete(self) -> None:
        self.aws.elbv2.deregister_targets(**self.of)


@resource("aws:acm/certificate:Certificate")
class Certificate(Resource):
    def create(self) -> str:
        self.own = self.aws.acm.request_certificate(
            IdempotencyToken="terraform0123456789",
            **self.inputs.params(DomainName="domainName", ValidationMethod="validationMethod"),
            Tags=tag_list(self.inputs.get("tags")),
        )["CertificateArn"]
        self.real["arn"] = self.own
        return self.own

    def read(self) -> None:
        self.aws.acm.describe_certificate(CertificateArn=self.own)
        self.aws.acm.list_tags_for_certificate(CertificateArn=self.own)

    def update(self) -> None:
        tags = [{"Key": "team", "Value": "inference"}]
        self.aws.acm.add_tags_to_certificate(CertificateArn=self.own, Tags=tags)
        self.aws.acm.remove_tags_from_certificate(CertificateArn=self.own, Tags=[{"Key": "former"}])

    def delete(self) -> None:
        self.aws.acm.delete_certificate(CertificateArn=self.own)


@resource("aws:acm/certificateValidation:CertificateValidation")
class CertificateValidation(Resource):
    """Only waits."""

    def create(self) -> str:
        arn = self.inputs["certificateArn"]
        assert len(self.inputs["validationRecordFqdns"]) == 1
        self.aws.acm.describe_certificate(CertificateArn=arn)
        return arn

    def delete(self) -> None:
        pass


@resource("aws:route53/record:Record")
class Record(Resource):
    def create(self) -> str:
        inputs = self.inputs
        overwrite = inputs.get("allowOverwrite")
        aliases = inputs.get("aliases")
        self.set: Dict[str, Any] = {"Name": inputs["name"], "Type": inputs["type"]}
        if aliases:
            (alias,) = aliases
            self.set["AliasTarget"] = {
                "DNSName": alias["name"],
                "HostedZoneId": alias["zoneId"],
                "EvaluateTargetHealth": alias["evaluateTargetHealth"],
            }
        else:
            self.set["TTL"] = int(inputs["ttl"])
            self.set["ResourceRecords"] = [{"Value": value} for value in inputs["records"]]
        self.aws.route53.get_hosted_zone(Id=inputs["zoneId"])
        self._change("UPSERT" if overwrite else "CREATE")
        return f"{inputs['zoneId']}_{inputs['name']}_{inputs['type']}"

    def _change(self, action: str) -> None:
        changed = self.aws.route53.change_resource_record_sets(
            HostedZoneId=self.inputs["zoneId"],
            ChangeBatch={
                "Comment": "Managed by Terraform",
                "Changes": [{"Action": action, "ResourceRecordSet": self.set}],
            },
        )
        self.aws.route53.get_change(Id=changed["ChangeInfo"]["Id"])

    def read(self) -> None:
        self.aws.route53.get_hosted_zone(Id=self.inputs["zoneId"])
        self.aws.route53.list_resource_record_sets(
            HostedZoneId=self.inputs["zoneId"],
            StartRecordName=self.inputs["name"],
            StartRecordType=self.inputs["type"],
        )

    def update(self) -> None:
        self._change("UPSERT")

    def delete(self) -> None:
        self._change("DELETE")


FUNCTIONS: Dict[str, Callable[[Aws, Inputs], Dict[str, Any]]] = {}


def function(token: str) -> Callable[[Callable[..., Dict[str, Any]]], Callable[..., Dict[str, Any]]]:
    def register(made: Callable[..., Dict[str, Any]]) -> Callable[..., Dict[str, Any]]:
        FUNCTIONS[token] = made
        return made

    return register


@function("aws:index/getPartition:getPartition")
def get_partition(aws: Aws, _: Inputs) -> Dict[str, Any]:
    """Asks nobody: the provider knows it by the region."""
    partition = aws.client("ec2").meta.partition
    return {"partition": partition}


@function("aws:ec2/getSubnet:getSubnet")
def get_subnet(aws: Aws, inputs: Inputs) -> Dict[str, Any]:
    (found,) = aws.ec2.describe_subnets(SubnetIds=[inputs["id"]])["Subnets"]
    return {"id": found["SubnetId"], "vpcId": found["VpcId"]}


@function("aws:ec2/getVpc:getVpc")
def get_vpc(aws: Aws, inputs: Inputs) -> Dict[str, Any]:
    own = inputs["id"]
    aws.ec2.describe_vpcs(VpcIds=[own])
    for attribute in ("enableDnsHostnames", "enableDnsSupport", "enableNetworkAddressUsageMetrics"):
        aws.ec2.describe_vpc_attribute(VpcId=own, Attribute=attribute)
    main = [
        {"Name": "association.main", "Values": ["true"]},
        {"Name": "vpc-id", "Values": [own]},
    ]
    (found,) = aws.ec2.describe_route_tables(Filters=main)["RouteTables"]
    return {"id": own, "mainRouteTableId": found["RouteTableId"]}


@function("aws:ec2/getRouteTables:getRouteTables")
def get_route_tables(aws: Aws, inputs: Inputs) -> Dict[str, Any]:
    filters = [{"Name": "vpc-id", "Values": [inputs["vpcId"]]}]
    filters += [{"Name": each["name"], "Values": each["values"]} for each in inputs["filters"]]
    aws.ec2.describe_route_tables(Filters=filters)
    return {}


@function("aws:ssm/getParameter:getParameter")
def get_parameter(aws: Aws, inputs: Inputs) -> Dict[str, Any]:
    # moto does not have AWS's own parameters.
    aws.check("ssm", "GetParameter", Name=inputs["name"], WithDecryption=True)
    return {}


@function("aws:ecr/getAuthorizationToken:getAuthorizationToken")
def get_authorization_token(aws: Aws, inputs: Inputs) -> Dict[str, Any]:
    aws.ecr.get_authorization_token(registryIds=[inputs["registryId"]])
    inputs.get("region")
    return {}


@function("aws:ec2/getSubnets:getSubnets")
def get_subnets(aws: Aws, inputs: Inputs) -> Dict[str, Any]:
    filters = [{"Name": each["name"], "Values": each["values"]} for each in inputs["filters"]]
    aws.ec2.describe_subnets(Filters=filters)
    # The network is known only to what comes later.
    default = [each for each in filters if each["Name"] == "default-for-az"]
    found = aws.ec2.describe_subnets(Filters=default)["Subnets"]
    return {"ids": [each["SubnetId"] for each in found]}
