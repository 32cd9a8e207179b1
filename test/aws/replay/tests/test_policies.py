"""What the check of policies finds in policies that are wrong, each beside one that is right."""

import unittest
from typing import Any, Dict, List

from replay import policies

PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/a"


def allow(actions: Any, resources: Any, **others: Any) -> Dict[str, Any]:
    return {"Sid": "It", "Effect": "Allow", "Action": actions, "Resource": resources, **others}


def faults(*statements: Dict[str, Any], partition: str = "aws") -> List[str]:
    return policies.faults({"Version": "2012-10-17", "Statement": list(statements)}, partition)


class Policies(unittest.TestCase):
    def assert_one(self, found: List[str], pattern: str) -> None:
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], pattern)

    def test_right_ones_have_no_faults(self) -> None:
        self.assertEqual(faults(allow(["ssm:GetParameter"], [PARAMETER])), [])
        self.assertEqual(faults(allow("ecr:GetAuthorizationToken", "*")), [])

    def test_actions_that_do_not_exist(self) -> None:
        self.assertIn("It: ssm:GetParam: no such action", faults(allow("ssm:GetParam", PARAMETER)))
        # IAM itself takes any case; a typing error is nobody's aim.
        self.assertIn("It: ssm:getParameter: no such action", faults(allow("ssm:getParameter", PARAMETER)))
        self.assertIn("It: smm:GetParameter: no such action", faults(allow("smm:GetParameter", PARAMETER)))

    def test_wildcards(self) -> None:
        self.assertRegex(faults(allow("ssm:Get*", PARAMETER))[0], "a wildcard allows what nobody needs")
        deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*", "Principal": "*"}
        self.assertEqual(faults(deny), [])
        self.assertRegex(faults({**deny, "Action": "s3:Nothing*"})[0], "stands for no action")

    def test_everything_where_less_would_do(self) -> None:
        self.assert_one(
            faults(allow("ssm:GetParameter", "*")), "allowed for everything, but could be for parameter"
        )

    def test_one_resource_where_everything_is_needed(self) -> None:
        found = faults(
            allow(["ecr:GetAuthorizationToken"], ["arn:aws:ecr:us-east-1:123456789012:repository/a"])
        )
        self.assertIn('It: ecr:GetAuthorizationToken: knows no resources, only "*"', found)

    def test_composite_alarms_take_no_narrower_permission(self) -> None:
        alarm = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:triton-*"
        for name in ("cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm"):
            self.assert_one(faults(allow(name, alarm)), "AWS takes it for everything")
            self.assertEqual(faults(allow(name, "*")), [])

    def test_resources_of_another_kind(self) -> None:
        found = faults(allow("s3:ListBucket", "arn:aws:s3:::bucket/object"))
        self.assertRegex(found[0], "none of the resources is one of it")
        self.assertEqual(faults(allow("s3:ListBucket", "arn:aws:s3:::bucket")), [])

    def test_resources_that_no_action_knows(self) -> None:
        other = "arn:aws:sns:us-east-1:123456789012:topic"
        self.assert_one(
            faults(allow("ssm:GetParameter", [PARAMETER, other])), "no action of the statement knows it"
        )

    def test_actions_that_need_several_resources(self) -> None:
        """A fault of an earlier release: restarts on other hardware were refused."""
        automation = "arn:aws:ssm:us-east-1"
        definition = f"{automation}::automation-definition/AWS-RestartEC2Instance:*"
        document = f"{automation}::document/AWS-RestartEC2Instance"
        execution = f"{automation}:*:automation-execution/*"
        start = "ssm:StartAutomationExecution"
        found = faults(allow(start, definition))
        self.assertEqual(len(found), 2, found)
        self.assertRegex(found[0], "needs a resource automation-execution as well")
        self.assertEqual(faults(allow(start, [definition, document, execution])), [])
        # The resources may be in several statements.
        more = {**allow(start, [execution]), "Sid": "More"}
        self.assertEqual(faults(allow(start, [definition, document]), more), [])

    def test_condition_keys_that_an_action_never_has(self) -> None:
        key = "arn:aws:kms:us-east-1:123456789012:key/a"
        via = {"StringLike": {"kms:ViaService": ["ec2.us-east-1.amazonaws.com"]}}
        self.assertEqual(faults(allow("kms:Decrypt", key, Condition=via)), [])
        grants = {"Bool": {"kms:GrantIsForAWSResource": ["true"]}}
        self.assertEqual(faults(allow("kms:CreateGrant", key, Condition=grants)), [])
        self.assert_one(faults(allow("kms:Decrypt", key, Condition=grants)), "never has the condition key")
        wrong = {"StringEquals": {"kms:GrantIsForAWSResource": ["true"]}}
        self.assert_one(faults(allow("kms:CreateGrant", key, Condition=wrong)), "is Bool")

    def test_tags_as_conditions(self) -> None:
        instance = "arn:aws:ec2:us-east-1:123456789012:instance/*"
        tagged = {"StringEquals": {"aws:ResourceTag/xsched-triton:project": "a"}}
        self.assertEqual(faults(allow("ec2:StopInstances", instance, Condition=tagged)), [])
        images = allow("ec2:DescribeImages", "*", Condition=tagged)
        self.assert_one(faults(images), "never has the condition key")

    def test_partitions(self) -> None:
        found = faults(allow("ssm:GetParameter", PARAMETER), partition="aws-us-gov")
        self.assert_one(found, "not of aws-us-gov")

        def trust(service: str) -> Dict[str, Any]:
            return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}

        self.assertEqual(faults(trust("ec2.amazonaws.com")), [])
        self.assertEqual(faults(trust("ec2.amazonaws.com.cn"), partition="aws-cn"), [])
        self.assertEqual(faults(trust("events.amazonaws.com"), partition="aws-cn"), [])
        self.assert_one(faults(trust("ec2.amazonaws.com"), partition="aws-cn"), "called otherwise in aws-cn")
        self.assert_one(faults(trust("ec3.amazonaws.com")), "is not known")

    def test_statements(self) -> None:
        self.assert_one(
            faults({**allow("ecr:GetAuthorizationToken", "*"), "Sid": "a b"}), "letters and digits"
        )
        twice = allow("ecr:GetAuthorizationToken", "*")
        self.assert_one(faults(twice, twice), "more than once")
        without = {"Effect": "Allow", "Action": "ssm:GetParameter"}
        self.assert_one(faults(without), "Resource: missing")

    def test_are_found_wherever_they_are(self) -> None:
        document = '{"Version": "2012-10-17", "Statement": []}'
        found = list(policies.policies_in({"a": [{"b": document}], "c": "{}"}, "it"))
        self.assertEqual([each.place for each in found], ["it.a[0].b"])

    def test_cover_what_they_allow(self) -> None:
        policy = {"Statement": [allow("ssm:GetParameter", "arn:aws:ssm:*:parameter/a*")]}
        self.assertTrue(policies.allows(policy, "ssm:GetParameter", PARAMETER))
        self.assertTrue(policies.allows(policy, "ssm:GetParameter", f"{PARAMETER}*"))
        self.assertFalse(policies.allows(policy, "ssm:PutParameter", PARAMETER))
        self.assertFalse(policies.allows(policy, "ssm:GetParameter", "arn:aws:ssm:us-east-1:1:parameter/*"))


if __name__ == "__main__":
    unittest.main()
