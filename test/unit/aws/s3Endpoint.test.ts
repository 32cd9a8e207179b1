import * as assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";

import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { record, type Recording, type Registered } from "./mocks";

const ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint";

const outputs = ({ type, name }: Registered): Record<string, unknown> => {
  switch (type) {
    case "tls:index/privateKey:PrivateKey":
      return { privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY };
    case "aws:ec2/securityGroup:SecurityGroup":
      return { vpcId: "vpc-1" };
    case "aws:ec2/instance:Instance":
      return { subnetId: "subnet-default" };
    case "aws:ssm/parameter:Parameter":
      return { region: "eu-west-1", arn: `arn:of:${name}` };
    default:
      return { publicIp: "203.0.113.1" };
  }
};

describe("the endpoint for S3 of a host on AWS", () => {
  /** @param tables route tables of the subnet's own */
  const deploy = (tables: string[], args: object, preview = false): Promise<Recording> =>
    record(preview, outputs, async () => {
      const monitor = pulumi.runtime.getMonitor() as unknown as { mocks: pulumi.runtime.Mocks };
      const call = monitor.mocks.call.bind(monitor.mocks);
      monitor.mocks.call = (request) => {
        switch (request.token) {
          case "aws:ec2/getRouteTables:getRouteTables":
            assert.deepEqual((request.inputs as { filters: unknown }).filters, [
              { name: "association.subnet-id", values: [expected] },
            ]);
            return { ids: tables };
          case "aws:ec2/getVpc:getVpc":
            return { mainRouteTableId: "rtb-main" };
          default:
            return call(request);
        }
      };
      const { AwsGpuHost } = await import("../../../components");
      new AwsGpuHost("machine", { instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"], ...args });
    });
  let expected: string;

  it("does not exist unless requested", async () => {
    const program = await deploy([], {});
    assert.deepEqual(program.names(ENDPOINT), []);
  });

  it("routes the traffic of the instance's subnet, through the network's main table", async () => {
    expected = "subnet-default";
    const { routeTableIds, serviceName, vpcEndpointType, vpcId } = (
      await deploy([], { createS3Endpoint: true })
    ).inputs(ENDPOINT);
    assert.deepEqual(
      [routeTableIds, serviceName, vpcEndpointType, vpcId],
      [["rtb-main"], "com.amazonaws.eu-west-1.s3", "Gateway", "vpc-1"],
    );
  });

  it("routes it through the subnet's own table, if there is one", async () => {
    expected = "subnet-0123456789abcdef0";
    const program = await deploy(["rtb-own"], { createS3Endpoint: true, subnetId: expected });
    assert.deepEqual(program.inputs(ENDPOINT).routeTableIds, ["rtb-own"]);
  });

  it("is shown in a preview", async () => {
    expected = "subnet-0123456789abcdef0";
    const program = await deploy(["rtb-own"], { createS3Endpoint: true, subnetId: expected }, true);
    assert.deepEqual(program.names(ENDPOINT), ["machine-s3"]);
  });
});
