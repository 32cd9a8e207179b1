"""What belongs to another part of AWS than the stack's region: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""

import re
from typing import Any, Dict, Iterator, List

#: Service principals end so in all partitions but for a few, and IAM's roles of services are named after them.
#: A pattern for names of services in a condition matches both.
_ANYWHERE = re.compile(
    # AWS offers one package of the CloudWatch agent for all regions. It is fetched where the machine image lacks it.
    r"amazoncloudwatch-agent\.s3\.amazonaws\.com"
    # The agent knows ECR's names in both.
    r"|\\\\\.amazonaws\\\\\.com\(\?:"
    r"|aws-service-role/[a-z0-9-]+\.amazonaws\.com/"
    r"|\"(?:events|scheduler|ssm)\.amazonaws\.com\""
    r"|\.amazonaws\.com\*"
)
_REGION = re.compile(r"\b(?:us|eu|ap|ca|sa|af|me|il|mx|cn)(?:-gov)?-(?:[a-z]+)-[0-9]\b")


def texts(value: Any, place: str) -> Iterator[tuple]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from texts(each, f"{place}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from texts(each, f"{place}[{index}]")
    elif isinstance(value, str):
        yield place, value


def faults(stack: Dict[str, Any]) -> List[str]:
    """What a stack names that is elsewhere."""
    partition, region = stack["partition"], stack["region"]
    found = []
    for resource in stack["resources"]:
        for place, text in texts(resource["inputs"], resource["name"]):
            found += [f"{place}: {one}" for one in strangers(text, partition, region)]
    for call in stack["calls"]:
        for place, text in texts(call["inputs"], call["token"]):
            found += [f"{place}: {one}" for one in strangers(text, partition, region)]
    return found


def strangers(text: str, partition: str, region: str) -> Iterator[str]:
    for own in re.findall(r"\barn:(aws[a-z-]*):", text):
        if own != partition:
            yield f"arn:{own}: in {partition}"
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    for end in re.findall(r"\bamazonaws\.com(?:\.cn)?", _ANYWHERE.sub("", text)):
        if end != suffix:
            yield f"{end} in {partition}"
    for other in _REGION.findall(text):
        if other != region:
            yield f"{other} in {region}"
