import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { NETWORK, reaches } from "../../fixtures/standInCloud/network";
import { forget, remember } from "../../fixtures/standInCloud/world";

const type = (name: string): string => `aws:ec2/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;

/** Engine tests rely on it: a machine that nothing answers must not come up. */
describe("a network of the stand-in for AWS", () => {
  let world: string;

  beforeEach(() => {
    world = fs.mkdtempSync(path.join(process.env.TMPDIR ?? "/tmp", "xsched-triton-network-"));
    process.env.STAND_IN_CLOUD = world;
    remember(type("Vpc"), "vpc-1", { cidrBlock: "10.0.0.0/16", enableDnsSupport: true });
    for (const id of ["private", "public"]) {
      remember(type("Subnet"), id, { vpcId: "vpc-1", cidrBlock: `10.0.${id.length}.0/24` });
      remember(type("RouteTable"), `rtb-${id}`, { vpcId: "vpc-1" });
      remember(type("RouteTableAssociation"), id, { subnetId: id, routeTableId: `rtb-${id}` });
    }
  });

  afterEach(() => {
    delete process.env.STAND_IN_CLOUD;
    fs.rmSync(world, { recursive: true });
  });

  const route = (table: string, target: Record<string, string>): void => {
    remember(type("Route"), table, { routeTableId: table, destinationCidrBlock: "0.0.0.0/0", ...target });
  };

  it("leads from a subnet without a route nowhere, and from the default VPC everywhere", () => {
    assert.equal(reaches("private", "ssm"), false);
    assert.equal(reaches("", "ssm"), true);
  });

  it("leads out through a NAT gateway whose own subnet leads to the internet", () => {
    route("rtb-private", { natGatewayId: "nat-1" });
    remember(type("NatGateway"), "nat-1", { subnetId: "public" });
    assert.equal(reaches("private", "ssm"), false);
    route("rtb-public", { gatewayId: "igw-1" });
    assert.equal(reaches("private", "ssm"), false);
    remember(type("InternetGateway"), "igw-1", { vpcId: "vpc-1" });
    assert.equal(reaches("private", "ssm"), true);
    forget(type("RouteTableAssociation"), "private");
    assert.equal(reaches("private", "ssm"), false);
  });

  it("leads to a service through an endpoint that lets the subnet in, and to no other", () => {
    const endpoint = (changes: object = {}): void => {
      remember(type("VpcEndpoint"), "vpce-1", {
        ...{ vpcId: "vpc-1", serviceName: "com.amazonaws.us-east-1.ssm", vpcEndpointType: "Interface" },
        ...{ privateDnsEnabled: true, subnetIds: ["private"], securityGroupIds: ["sg-1"], ...changes },
      });
    };
    const group = (range: string): void => {
      remember(type("SecurityGroup"), "sg-1", {
        ingress: [{ fromPort: 443, toPort: 443, cidrBlocks: [range] }],
      });
    };
    endpoint();
    group("10.0.0.0/16");
    assert.deepEqual([reaches("private", "ssm"), reaches("private", "logs")], [true, false]);
    group("10.1.0.0/16");
    assert.equal(reaches("private", "ssm"), false);
    group("10.0.0.0/16");
    for (const changes of [{ privateDnsEnabled: false }, { vpcId: "vpc-2" }, { subnetIds: [] }]) {
      endpoint(changes);
      assert.equal(reaches("private", "ssm"), false, JSON.stringify(changes));
    }
    const s3 = { serviceName: "com.amazonaws.us-east-1.s3", vpcEndpointType: "Gateway" };
    endpoint({ ...s3, routeTableIds: ["rtb-public"] });
    assert.deepEqual([reaches("private", "s3"), reaches("public", "s3")], [false, true]);
  });

  it("keeps what something else needs, and refuses what AWS does", () => {
    const remove = (name: string, id: string) => (): unknown =>
      NETWORK[type(name)]?.remove?.(id, { vpcId: "vpc-1" });
    const create = (name: string, inputs: Record<string, string | boolean>) => (): unknown =>
      NETWORK[type(name)]?.create(inputs);
    assert.throws(remove("Vpc", "vpc-1"), /DependencyViolation: 'vpc-1' has dependencies/);
    assert.throws(remove("RouteTable", "rtb-private"), /DependencyViolation/);
    remember(type("Instance"), "i-1", { subnetId: "private" });
    assert.throws(remove("Subnet", "private"), /DependencyViolation/);
    remember(type("NatGateway"), "nat-1", { subnetId: "public", allocationId: "eipalloc-1" });
    assert.throws(remove("InternetGateway", "igw-1"), /has some mapped public address/);
    assert.throws(
      create("Subnet", { vpcId: "vpc-1", cidrBlock: "10.0.7.128/25" }),
      /InvalidSubnet\.Conflict/,
    );
    assert.throws(create("Subnet", { vpcId: "vpc-1", cidrBlock: "10.1.0.0/24" }), /InvalidSubnet\.Range/);
    remember(type("Eip"), "eipalloc-1", {});
    assert.throws(
      create("NatGateway", { subnetId: "public", allocationId: "eipalloc-1" }),
      /Gateway\.NotAttached/,
    );
    remember(type("InternetGateway"), "igw-1", { vpcId: "vpc-1" });
    // One address has one gateway.
    assert.throws(
      create("NatGateway", { subnetId: "public", allocationId: "eipalloc-1" }),
      /Resource\.AlreadyAssociated/,
    );
    const service = { vpcId: "vpc-1", vpcEndpointType: "Interface", privateDnsEnabled: true };
    assert.throws(
      create("VpcEndpoint", { ...service, serviceName: "com.amazonaws.us-east-1.ssm" }),
      /requires both enableDnsSupport and enableDnsHostnames/,
    );
    assert.throws(
      create("VpcEndpoint", { ...service, serviceName: "com.amazonaws.us-east-1.ssn" }),
      /InvalidServiceName/,
    );
  });
});
