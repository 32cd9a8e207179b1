// Where a stack's instance on AWS is to be launched, as its state knows it (components/host/aws/chosenPlace.ts).

/**
 * URNs of the choices that no instance has followed: AWS had the capacity when it was asked, and not any more when the instance
 * was launched. An `up` must choose again, as Pulumi takes such a choice for done.
 */
export function placesToChooseAgain(resources) {
  const parents = new Map(resources.map(({ urn, parent }) => [urn, parent]));
  const instances = resources.filter(
    // One that waits for its deletion has been replaced.
    ({ type, delete: replaced }) => type === "aws:ec2/instance:Instance" && !replaced,
  );
  return resources
    .filter(
      ({ type, inputs }) => type === "command:local:Command" && inputs?.environment?.CHOICES !== undefined,
    )
    .filter(({ urn, inputs, outputs }) => {
      const place = parsed(outputs?.stdout);
      const own = instances.find((instance) => instance.parent === parents.get(urn));
      return own === undefined || !isAt(own, place, parsed(inputs.environment.SUBNETS));
    })
    .map(({ urn }) => urn);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether an instance is at a place, and what the place was chosen for.
 *
 * @param subnets those of a network of the stack's own, by their zones
 */
function isAt({ inputs, outputs }, place, subnets) {
  if (place === undefined) return false;
  const { ami, kmsKeyId, subnetId } = JSON.parse(place.launch);
  return (
    place.instanceType === inputs.instanceType &&
    place.zone === (inputs.availabilityZone ?? outputs.availabilityZone) &&
    place.spot === (inputs.instanceMarketOptions !== undefined) &&
    (ami === undefined || ami === inputs.ami) &&
    kmsKeyId === inputs.rootBlockDevice?.kmsKeyId &&
    (subnets === undefined ? subnetId : subnets[place.zone]) === inputs.subnetId
  );
}
