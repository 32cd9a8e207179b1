"""Whether EC2 launches each instance type of the settings as the stacks ask for it, by what moto knows of them."""

from typing import Any, Dict, Iterator, List

from moto import mock_aws

from .calls import Aws, InvalidCallError, pages


def faults(types: List[str]) -> List[str]:
    with mock_aws():
        aws = Aws("us-east-1")
        # Not by their names: one that does not exist would be an error.
        wanted = [{"Name": "instance-type", "Values": types}]
        found = pages(aws.ec2, "describe_instance_types", "InstanceTypes", Filters=wanted)
        known = {each["InstanceType"]: each for each in found}
        return [f"{name}: {text}" for name in types for text in _faults(name, known.get(name), aws)]


def _faults(name: str, known: Any, aws: Aws) -> Iterator[str]:
    if known is None:
        yield "EC2 does not offer it"
        return
    try:
        # botocore has a list of its own.
        aws.check("ec2", "RunInstances", InstanceType=name, MinCount=1, MaxCount=1)
    except InvalidCallError as error:
        yield str(error)
    facts: Dict[str, bool] = {
        "is not for x86-64": "x86_64" in known["ProcessorInfo"]["SupportedArchitectures"],
        "cannot be optimized for EBS": known["EbsInfo"]["EbsOptimizedSupport"] != "unsupported",
        "cannot encrypt its volume": known["EbsInfo"]["EncryptionSupport"] == "supported",
        "does not boot from a volume": "ebs" in known["SupportedRootDeviceTypes"],
        "does not run images of type hvm": "hvm" in known["SupportedVirtualizationTypes"],
        "is not sold on demand": "on-demand" in known["SupportedUsageClasses"],
        "has no GPU of NVIDIA": any(
            each["Manufacturer"] == "NVIDIA" for each in known.get("GpuInfo", {}).get("Gpus", [])
        ),
    }
    yield from (text for text, well in facts.items() if not well)
