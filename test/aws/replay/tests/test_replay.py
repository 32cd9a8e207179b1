"""What the replay finds in resources that are wrong, each beside one that is right."""

import json
import unittest
from typing import Any, Dict, List

from replay import documents, instance_types, needed, partitions, policies, ways
from replay.calls import Call
from replay.replay import ReplayError, replay

GROUP = "aws:ec2/securityGroup:SecurityGroup"
TOPIC = "aws:sns/topic:Topic"
ROLE = "aws:iam/role:Role"


def stack(*resources: Dict[str, Any], **others: Any) -> Dict[str, Any]:
    place = {"partition": "aws", "region": "us-east-1", "defaultVpc": True}
    return {**place, "resources": list(resources), "calls": [], **others}


def resource(kind: str, inputs: Dict[str, Any], **outputs: Any) -> Dict[str, Any]:
    return {"type": kind, "name": "it", "inputs": inputs, "id": "made-up", "outputs": outputs}


def group(*ranges: str, **others: Any) -> Dict[str, Any]:
    ingress = {
        "protocol": "tcp",
        "fromPort": 22,
        "toPort": 22,
        "description": "SSH",
        "cidrBlocks": list(ranges),
    }
    inputs = {"description": "a group", "ingress": [ingress], "tags": {"Name": "it"}, **others}
    return resource(GROUP, inputs, name="it-1")


class Replay(unittest.TestCase):
    def assert_refused(self, one: Dict[str, Any], pattern: str) -> None:
        with self.assertRaisesRegex(ReplayError, pattern):
            replay(stack(one), "subnet-1")

    def test_knows_each_type_and_property(self) -> None:
        replay(stack(group("198.51.100.0/24")), "subnet-1")
        self.assert_refused(resource("aws:ec2/flowLog:FlowLog", {}), "aws:ec2/flowLog:FlowLog: not known")
        novel = group("198.51.100.0/24", novelty=True)
        self.assert_refused(novel, "novelty: what the provider makes of it is not known")
        unknown = stack(calls=[{"token": "aws:ec2/getAmi:getAmi", "inputs": {}, "outputs": {}}])
        with self.assertRaisesRegex(ReplayError, "aws:ec2/getAmi:getAmi: not known"):
            replay(unknown, "subnet-1")

    def test_counts_the_rules_of_a_group(self) -> None:
        replay(stack(group(*(f"198.18.{index}.0/24" for index in range(60)))), "subnet-1")
        self.assert_refused(
            group(*(f"198.18.{index}.0/24" for index in range(70))), "RulesPerSecurityGroupLimitExceeded"
        )

    def test_refuses_descriptions_that_ec2_refuses(self) -> None:
        replay(stack(group("198.51.100.0/24", description="a group: of 1, [here]")), "subnet-1")
        self.assert_refused(
            group("198.51.100.0/24", description="AWS's"), 'Description: "AWS\'s" does not match'
        )
        rule = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "description": "by > SSH"}
        for ranges in ({"cidrBlocks": ["198.51.100.0/24"]}, {"ipv6CidrBlocks": ["2001:db8::/32"]}):
            self.assert_refused(group(ingress=[{**rule, **ranges}]), "Description: 'by > SSH' does not match")

    def test_refuses_what_the_models_of_botocore_refuse(self) -> None:
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

        def role(name: str, policy: Any = trust) -> Dict[str, Any]:
            return resource(ROLE, {"assumeRolePolicy": policy}, name=name)

        replay(stack(role("it-1")), "subnet-1")
        self.assert_refused(role("it 1"), "RoleName: 'it 1' does not match")
        self.assert_refused(role("i" * 65), "RoleName: 65 characters, at most 64")
        self.assert_refused(role("it-1", 1), "Invalid type for parameter")
        dashboard = "aws:cloudwatch/dashboard:Dashboard"
        widgets = '{"widgets": []}'
        self.assert_refused(
            resource(dashboard, {"dashboardName": "prod.eu", "dashboardBody": widgets}), "prod.eu: not a name"
        )
        replay(stack(resource(dashboard, {"dashboardName": "prod-eu", "dashboardBody": widgets})), "subnet-1")

    def test_puts_real_values_in_the_place_of_those_made_up(self) -> None:
        topic = resource(TOPIC, {}, name="it-1", arn="made-up")
        endpoint = {"topic": "made-up", "protocol": "email", "endpoint": "ops@example.com"}
        subscription = resource("aws:sns/topicSubscription:TopicSubscription", endpoint)
        self.assertIn(("sns", "Subscribe"), replay(stack(topic, subscription), "subnet-1"))
        elsewhere = {**endpoint, "topic": "arn:aws:sns:us-east-1:123456789012:made-up"}
        self.assert_refused(resource("aws:sns/topicSubscription:TopicSubscription", elsewhere), "NotFound")

    def test_leaves_the_providers_that_are_not_on_aws(self) -> None:
        self.assertEqual(replay(stack(resource("command:local:Command", {})), "subnet-1"), set())


class Partitions(unittest.TestCase):
    def strangers(self, text: str, partition: str, region: str) -> List[str]:
        return list(partitions.strangers(text, partition, region))

    def test_arns(self) -> None:
        self.assertEqual(self.strangers("arn:aws-cn:s3:::a", "aws-cn", "cn-north-1"), [])
        self.assertEqual(self.strangers("arn:aws:s3:::a", "aws-cn", "cn-north-1"), ["arn:aws: in aws-cn"])
        self.assertEqual(
            self.strangers("arn:aws:s3:::a", "aws-us-gov", "us-gov-west-1"), ["arn:aws: in aws-us-gov"]
        )

    def test_names_of_servers(self) -> None:
        server = "1.dkr.ecr.cn-north-1.amazonaws.com"
        self.assertEqual(self.strangers(f"{server}.cn/a", "aws-cn", "cn-north-1"), [])
        self.assertEqual(self.strangers(f"{server}/a", "aws-cn", "cn-north-1"), ["amazonaws.com in aws-cn"])
        principal = '{"Service": "events.amazonaws.com"}'
        self.assertEqual(self.strangers(principal, "aws-cn", "cn-north-1"), [])
        self.assertEqual(
            self.strangers('{"Service": "ec2.amazonaws.com"}', "aws-cn", "cn-north-1"),
            ["amazonaws.com in aws-cn"],
        )
        self.assertEqual(
            self.strangers("s3.amazonaws.com.cn", "aws", "us-east-1"), ["amazonaws.com.cn in aws"]
        )

    def test_regions(self) -> None:
        self.assertEqual(self.strangers("--region us-gov-west-1", "aws-us-gov", "us-gov-west-1"), [])
        self.assertEqual(
            self.strangers("--region us-east-1", "aws-us-gov", "us-gov-west-1"),
            ["us-east-1 in us-gov-west-1"],
        )


class Documents(unittest.TestCase):
    def test_allow_each_action_once_it_has_a_home(self) -> None:
        made = documents.deployer({"sns:CreateTopic"})
        (statement,) = made["deploy-monitoring"]["Statement"]
        self.assertEqual(statement["Action"], ["sns:CreateTopic"])
        self.assertEqual(statement["Resource"], ["arn:PARTITION:sns:REGION:ACCOUNT:triton-*"])
        with self.assertRaisesRegex(ValueError, "no such action"):
            documents.deployer({"s3:HeadBucket"})
        with self.assertRaisesRegex(ValueError, "add one of cluster to test/aws/replay/documents.py"):
            documents.deployer({"ecs:DeleteCluster"})

    def test_name_the_actions_of_operations(self) -> None:
        self.assertEqual(list(needed.actions_of([needed.Call("s3", "HeadBucket")])), ["s3:ListBucket"])
        self.assertEqual(list(needed.actions_of([needed.Call("ec2", "RunInstances")])), ["ec2:RunInstances"])

    def test_know_what_the_programs_call(self) -> None:
        self.assertIn(("ec2", "CreateCapacityReservation"), needed.calls_of_programs())
        self.assertIn(("ec2", "DescribeInstances"), needed.calls_of_programs())
        self.assertEqual(needed.unknown_programs(), [])

    def test_bound_what_roles_have(self) -> None:
        role = {
            "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::a/*"]}]
        }
        (statement,) = documents.boundary([role])["Statement"]
        self.assertEqual(statement["Action"], ["s3:GetObject"])
        role["Statement"][0]["Action"] = ["sqs:SendMessage"]
        with self.assertRaisesRegex(ValueError, "sqs:SendMessage: add its resources"):
            documents.boundary([role])


class Ways(unittest.TestCase):
    ROUTING = "aws:ec2/routeTableAssociation:RouteTableAssociation"

    def faults(self, *more: Dict[str, Any], action: str = "s3:GetObject") -> List[str]:
        """Of an instance whose role may read one bucket."""
        statement = {"Effect": "Allow", "Action": [action], "Resource": ["arn:aws:s3:::a/*"]}
        resources = [
            {**resource("aws:ec2/subnet:Subnet", {"vpcId": "vpc-1"}), "id": "subnet-1"},
            resource(self.ROUTING, {"subnetId": "subnet-1", "routeTableId": "rtb-1"}),
            resource("aws:iam/instanceProfile:InstanceProfile", {"role": "role-1"}, name="profile-1"),
            resource(
                "aws:iam/rolePolicy:RolePolicy",
                {"role": "role-1", "policy": json.dumps({"Statement": [statement]})},
            ),
            resource(
                "aws:ec2/instance:Instance", {"subnetId": "subnet-1", "iamInstanceProfile": "profile-1"}
            ),
        ]
        return list(ways.faults(stack(*resources, *more)))

    def endpoint(self, service: str, kind: str = "Gateway", **others: Any) -> Dict[str, Any]:
        inputs = {
            "vpcId": "vpc-1",
            "serviceName": f"com.amazonaws.us-east-1.{service}",
            "vpcEndpointType": kind,
            "routeTableIds": ["rtb-1"],
            **others,
        }
        return resource("aws:ec2/vpcEndpoint:VpcEndpoint", inputs)

    def test_lead_to_what_the_role_may_use(self) -> None:
        self.assertEqual(self.faults(self.endpoint("s3")), [])
        self.assertEqual(self.faults(), ["s3:GetObject: nothing leads to s3"])
        elsewhere = "s3:GetObject: the endpoint of s3 is not in the routes of the instance's subnet"
        self.assertEqual(self.faults(self.endpoint("s3", routeTableIds=["rtb-2"])), [elsewhere])
        self.assertEqual(
            self.faults(self.endpoint("s3"), action="sqs:SendMessage"),
            ["sqs:SendMessage: which endpoints lead there is not known; add them to test/aws/replay/ways.py"],
        )

    def test_lead_everywhere_through_a_nat_gateway(self) -> None:
        route = {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}
        self.assertEqual(self.faults(resource("aws:ec2/route:Route", route)), [])
        route["routeTableId"] = "rtb-2"
        self.assertEqual(
            self.faults(resource("aws:ec2/route:Route", route)), ["s3:GetObject: nothing leads to s3"]
        )

    def test_let_through_what_the_role_may_do(self) -> None:
        def policy(resources: str) -> str:
            statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": resources}
            return json.dumps({"Statement": [statement]})

        self.assertEqual(self.faults(self.endpoint("s3", policy=policy("arn:aws:s3:::*"))), [])
        denied = "s3:GetObject: the policy of the endpoint of s3 does not allow it for"
        self.assertEqual(
            self.faults(self.endpoint("s3", policy=policy("arn:aws:s3:::b/*"))),
            [f"{denied} arn:aws:s3:::a/*"],
        )
        registry = [self.endpoint(name, "Interface") for name in ("ecr.api", "ecr.dkr")]
        ecr = {"action": "ecr:BatchGetImage"}
        self.assertEqual(self.faults(self.endpoint("s3"), *registry, **ecr), [])
        self.assertEqual(
            self.faults(self.endpoint("s3", policy=policy("arn:aws:s3:::a/*")), *registry, **ecr),
            [f"{denied} arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"],
        )
        self.assertEqual(self.faults(*registry, **ecr), ["ecr:BatchGetImage: nothing leads to s3"])


class InstanceTypes(unittest.TestCase):
    def test_are_such_as_the_stacks_launch(self) -> None:
        self.assertEqual(instance_types.faults(["g5.xlarge"]), [])
        self.assertEqual(instance_types.faults(["g5.nothing"]), ["g5.nothing: EC2 does not offer it"])
        self.assertIn("g5g.xlarge: is not for x86-64", instance_types.faults(["g5g.xlarge"]))
        self.assertIn("m5.large: has no GPU of NVIDIA", instance_types.faults(["m5.large"]))

    def test_whoever_deploys_may_have_the_roles_of_services_made(self) -> None:
        """CloudWatch refuses an alarm that reboots an instance to whoever may not."""
        made = documents.deployer(needed.needed([]))
        for name, role in (
            ("deploy-access", "spot.amazonaws.com/AWSServiceRoleForEC2Spot"),
            ("deploy-monitoring", "events.amazonaws.com/AWSServiceRoleForCloudWatchEvents"),
        ):
            arn = f"arn:PARTITION:iam::ACCOUNT:role/aws-service-role/{role}"
            self.assertTrue(policies.allows(made[name], "iam:CreateServiceLinkedRole", arn), name)

    def test_whoever_deploys_may_have_endpoints_named(self) -> None:
        """The zone is in an account of AWS. For such a zone, IAM has been seen to ask for the VPC."""
        network = documents.deployer(needed.needed([]))["deploy-network"]
        for arn in (
            "arn:PARTITION:route53:::hostedzone/Z0123456789ABC",
            "arn:PARTITION:ec2:REGION:ACCOUNT:vpc/vpc-1",
        ):
            self.assertTrue(policies.allows(network, "route53:AssociateVPCWithHostedZone", arn), arn)

    def test_whoever_deploys_may_remove_what_guardduty_adds(self) -> None:
        """By its tag alone: what else is in the network is not of the stack."""
        calls = [
            Call("ec2", name) for name in ("DeleteSecurityGroup", "DeleteVpcEndpoints", "ModifyVpcEndpoint")
        ]
        (statement,) = [
            each
            for each in documents.deployer(needed.needed(calls))["deploy-network"]["Statement"]
            if each["Sid"] == "OfGuardDuty"
        ]
        self.assertEqual(statement["Action"], [f"ec2:{call.operation}" for call in calls])
        self.assertEqual(
            statement["Condition"], {"StringEquals": {"aws:ResourceTag/GuardDutyManaged": "true"}}
        )


if __name__ == "__main__":
    unittest.main()
