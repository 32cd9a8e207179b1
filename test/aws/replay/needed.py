"""The actions of IAM that a deployment needs: of the calls in the replay, and of the project's own programs."""

import re
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Set, Tuple

from .calls import Call

ROOT = Path(__file__).resolve().parents[3]

#: Services whose actions begin otherwise than botocore calls them.
_PREFIXES = {"service-quotas": "servicequotas", "elbv2": "elasticloadbalancing"}

#: Operations whose actions are named otherwise:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_ACTIONS: Dict[str, Tuple[str, ...]] = {
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3:DeleteObject": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:GetBucketAccelerateConfiguration": ("s3:GetAccelerateConfiguration",),
    "s3:GetBucketCors": ("s3:GetBucketCORS",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "s3:GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html
    "budgets:CreateBudget": ("budgets:ModifyBudget", "budgets:TagResource"),
    "budgets:CreateNotification": ("budgets:ModifyBudget",),
    "budgets:DeleteBudget": ("budgets:ModifyBudget",),
    "budgets:DescribeBudget": ("budgets:ViewBudget",),
    "budgets:DescribeNotificationsForBudget": ("budgets:ViewBudget",),
    # Everyone may ask who they are.
    "sts:GetCallerIdentity": (),
}

#: What no call names.
OTHERS: Dict[str, Tuple[str, ...]] = {
    "roles are handed to EC2 and EventBridge": ("iam:PassRole",),
    "the account's first spot instance, and its first load balancer, make a role for them": (
        "iam:CreateServiceLinkedRole",
    ),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    "whoever makes an alarm that reboots an instance": ("iam:CreateServiceLinkedRole",),
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-permissions.html
    "Elastic Load Balancing looks at the network for whoever makes a load balancer": (
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeInternetGateways",
        "ec2:GetSecurityGroupsForVpc",
    ),
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html#amazonec2-CreateVpcEndpoint
    "an interface endpoint gets the usual name of its service by a hosted zone of AWS": (
        "route53:AssociateVPCWithHostedZone",
    ),
    "components/host/aws/cancel-spot-request.sh, and the provider": ("ec2:CancelSpotInstanceRequests",),
    "components/host/aws/choose-place.cjs names its image by a parameter": ("ssm:GetParameters",),
    "large files go in parts": ("s3:AbortMultipartUpload",),
    "Docker pushes the image, and asks for its manifests": (
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ),
    "components/host/aws/access.ts: sessions, which their user may end": (
        "ssm:ResumeSession",
        "ssm:StartSession",
        "ssm:TerminateSession",
        # The plugin's, for the user that has started the session:
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
        "ssmmessages:OpenDataChannel",
    ),
    # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    "AWS uses a key of one's own for whoever has something encrypted": (
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:RetireGrant",
    ),
}

#: Programs of the project that call AWS by its SDK.
PROGRAMS = (
    "scripts/preflight/account.ts",
    "scripts/instance.mjs",
    "components/host/aws/choose-place.cjs",
    "components/loadBalancer/await-targets.cjs",
)
#: Those that read models in buckets of other people, which the documents cannot name.
READERS = ("components/models/s3/s3Model.ts", "components/models/s3/s3Fault.ts")
#: What the programs call the packages of the SDK.
_PACKAGES = {"sdk": "ec2", "quotas": "service-quotas", "elb": "elbv2"}


def unknown_programs() -> List[str]:
    """Programs that use AWS's SDK and are in none of the lists."""
    files = [
        file
        for folder in ("components", "scripts")
        for ending in ("*.ts", "*.cjs", "*.mjs")
        for file in (ROOT / folder).rglob(ending)
        if "node_modules" not in file.parts and "@aws-sdk/client-" in file.read_text()
    ]
    return sorted({str(file.relative_to(ROOT)) for file in files} - {*PROGRAMS, *READERS})


def calls_of_programs() -> Set[Call]:
    """What the project's own programs call, as their sources say."""
    found: Set[Call] = set()
    for program in PROGRAMS:
        text = (ROOT / program).read_text()
        for package, paginated, command in re.findall(
            r"\b(\w+)\.(?:paginate([A-Z]\w+)|([A-Z]\w+)Command)\(", text
        ):
            found.add(Call(_PACKAGES.get(package, package), paginated or command))
    return found


def actions_of(calls: Iterable[Call]) -> Iterator[str]:
    for service, operation in calls:
        prefix = _PREFIXES.get(service, service)
        yield from _ACTIONS.get(f"{prefix}:{operation}", (f"{prefix}:{operation}",))


def needed(calls: Iterable[Call]) -> Set[str]:
    """All actions that whoever deploys needs."""
    return {
        *actions_of(calls),
        *actions_of(calls_of_programs()),
        *(action for actions in OTHERS.values() for action in actions),
    }
