import * as assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";

import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { PARTITION, record, type Recording, type Registered } from "./mocks";

const RANGE = "2600:1f18:4a2:7b00::/56";
const INSTANCE = "aws:ec2/instance:Instance";
const SUBNET = "aws:ec2/subnet:Subnet";
const ROUTE = "aws:ec2/route:Route";
const ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const ZONES = ["us-east-1b", "us-east-1a"];

const launchOf = ({ inputs }: Registered): string =>
  (inputs.environment as { readonly LAUNCH: string } | undefined)?.LAUNCH ?? "";

/** @param zone that has capacity */
const outputsIn =
  (zone: string, region: string) =>
  (resource: Registered): Record<string, unknown> => {
    switch (resource.type) {
      case "tls:index/privateKey:PrivateKey":
        return { privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY };
      case "aws:ec2/vpc:Vpc":
        return { ipv6CidrBlock: RANGE };
      case "aws:ssm/parameter:Parameter":
        return { region, arn: "arn:aws:ssm:us-east-1:111122223333:parameter/key" };
      case "command:local:Command": {
        const chosen = {
          instanceType: "g5.xlarge",
          zone,
          spot: false,
          passedOver: [],
          launch: launchOf(resource),
        };
        return { stdout: JSON.stringify(chosen) };
      }
      default:
        return { privateIp: "10.90.4.7" };
    }
  };

interface Options {
  readonly args?: object;
  readonly zone?: string;
  readonly preview?: boolean;
  readonly region?: string;
  readonly partition?: typeof PARTITION & { readonly reverseDnsPrefix: string };
}

async function deploy(
  network: object,
  options: Options = {},
  before: () => void = () => undefined,
): Promise<Recording> {
  const { args = {}, zone = "us-east-1b", preview = false, region = "us-east-1" } = options;
  const { partition = { ...PARTITION, reverseDnsPrefix: "com.amazonaws" } } = options;
  return record(
    preview,
    outputsIn(zone, region),
    async () => {
      before();
      const { AwsGpuHost } = await import("../../../components");
      new AwsGpuHost("gpu", {
        ...{ instanceType: "g5.xlarge", access: "sessionManager", zones: ZONES },
        network: { kind: "own", ...network },
        ...args,
      });
    },
    partition,
  );
}

/** What each resource depends on by itself, as type and name. */
async function dependenciesIn(network: object, options: Options = {}): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  await deploy(network, options, () => {
    const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request, ...others) => {
      const urns = request.getDependenciesList().map((urn) => urn.split(/::|\$/).slice(-2).join(" "));
      found.set(`${request.getType()} ${request.getName()}`, urns);
      register(request, ...others);
    };
  });
  return found;
}

/** The end of the engine that a program talks to. */
interface Monitor {
  registerResource(
    request: { getType(): string; getName(): string; getDependenciesList(): string[] },
    ...others: unknown[]
  ): void;
}

const without = (inputs: Registered["inputs"], ...keys: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(inputs).filter(([key]) => !["tags", ...keys].includes(key)));

describe("an instance in a network of its own", () => {
  it("is in the private subnet of its zone, without a public address", async () => {
    const program = await deploy({}, { zone: "us-east-1a" });
    const { subnetId, availabilityZone, associatePublicIpAddress, vpcSecurityGroupIds } =
      program.inputs(INSTANCE);
    assert.deepEqual(
      [subnetId, availabilityZone, associatePublicIpAddress, vpcSecurityGroupIds],
      ["gpu-private-us-east-1a-id", undefined, false, ["gpu-access-id"]],
    );
    assert.deepEqual(without(program.inputs(GROUP), "description", "egress"), {
      ...{ vpcId: "gpu-vpc-id", ingress: [] },
    });
    assert.deepEqual(without(program.inputs("aws:ec2/vpc:Vpc")), {
      ...{ cidrBlock: "10.90.0.0/16", assignGeneratedIpv6CidrBlock: true },
      ...{ enableDnsSupport: true, enableDnsHostnames: true },
    });
    assert.deepEqual(without(program.inputs(SUBNET, "gpu-private-us-east-1a")), {
      ...{ vpcId: "gpu-vpc-id", availabilityZone: "us-east-1a", mapPublicIpOnLaunch: false },
      ...{ cidrBlock: "10.90.0.0/22", assignIpv6AddressOnCreation: true },
      ipv6CidrBlock: "2600:1f18:4a2:7b00::/64",
    });
    // Nobody in the group that AWS makes gets in or out.
    const { ingress, egress } = program.inputs("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup");
    assert.deepEqual([ingress, egress], [[], []]);
  });

  it("is in the one zone that there is", async () => {
    const program = await deploy({}, { args: { zones: undefined, zone: "us-east-1c" } });
    assert.equal(program.inputs(INSTANCE).subnetId, "gpu-private-us-east-1c-id");
    assert.deepEqual(program.names("command:local:Command"), ["gpu-ready"]);
  });

  it("has tags on all that can have some", async () => {
    for (const egress of ["natGateway", "endpoints"]) {
      const { resources } = await deploy({ egress });
      const untagged = resources
        .filter(({ type, inputs }) => type.startsWith("aws:ec2/") && inputs.tags === undefined)
        .map(({ type }) => type);
      assert.deepEqual([...new Set(untagged)].sort(), [
        ...(egress === "natGateway" ? [ROUTE] : []),
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
      ]);
    }
  });

  it("gets out through a NAT gateway in the first zone, and over IPv6 through a gateway for that alone", async () => {
    const program = await deploy({ egress: "natGateway" });
    assert.deepEqual(program.names(SUBNET), [
      "gpu-private-us-east-1a",
      "gpu-private-us-east-1b",
      "gpu-public-us-east-1b",
    ]);
    assert.deepEqual(
      ["gpu-out", "gpu-out-ipv6", "gpu-public"].map((name) => program.inputs(ROUTE, name)),
      [
        { routeTableId: "gpu-private-id", destinationCidrBlock: "0.0.0.0/0", natGatewayId: "gpu-nat-id" },
        {
          ...{ routeTableId: "gpu-private-id", destinationIpv6CidrBlock: "::/0" },
          egressOnlyGatewayId: "gpu-egress-id",
        },
        { routeTableId: "gpu-public-id", destinationCidrBlock: "0.0.0.0/0", gatewayId: "gpu-internet-id" },
      ],
    );
    const { allocationId, subnetId } = program.inputs("aws:ec2/natGateway:NatGateway");
    assert.deepEqual([allocationId, subnetId], ["gpu-nat-address-id", "gpu-public-us-east-1b-id"]);
    const associations = program.resources.filter(({ type }) => type.endsWith(":RouteTableAssociation"));
    assert.deepEqual(
      associations.map(({ inputs }) => `${String(inputs.subnetId)} ${String(inputs.routeTableId)}`).sort(),
      [
        "gpu-private-us-east-1a-id gpu-private-id",
        "gpu-private-us-east-1b-id gpu-private-id",
        "gpu-public-us-east-1b-id gpu-public-id",
      ],
    );
    // What comes from S3 need not pay for the gateway.
    assert.deepEqual(program.names(ENDPOINT), ["gpu-s3"]);
    assert.equal(program.names(GROUP).length, 1);
  });

  it("reaches nothing but AWS's services with endpoints", async () => {
    const program = await deploy({ egress: "endpoints" }, { args: { services: ["logs", "ssm"] } });
    assert.deepEqual(program.names(ENDPOINT), ["gpu-logs", "gpu-s3", "gpu-ssm", "gpu-ssmmessages"]);
    assert.deepEqual(without(program.inputs(ENDPOINT, "gpu-ssm")), {
      ...{ vpcId: "gpu-vpc-id", serviceName: "com.amazonaws.us-east-1.ssm", vpcEndpointType: "Interface" },
      ...{ privateDnsEnabled: true, subnetIds: ["gpu-private-us-east-1b-id"] },
      securityGroupIds: ["gpu-endpoints-id"],
    });
    assert.deepEqual(without(program.inputs(ENDPOINT, "gpu-s3")), {
      ...{ vpcId: "gpu-vpc-id", serviceName: "com.amazonaws.us-east-1.s3", vpcEndpointType: "Gateway" },
      routeTableIds: ["gpu-private-id"],
    });
    const { ingress, egress } = program.inputs(GROUP, "gpu-endpoints");
    assert.deepEqual(
      [ingress, egress],
      [
        [{ description: "HTTPS", protocol: "tcp", fromPort: 443, toPort: 443, cidrBlocks: ["10.90.0.0/16"] }],
        [],
      ],
    );
    // No route leads out, and no gateway.
    for (const type of [ROUTE, "aws:ec2/internetGateway:", "aws:ec2/natGateway:", "aws:ec2/egressOnly"]) {
      assert.deepEqual(program.names(type), []);
    }
  });

  it("reaches the repository that it may pull from", async () => {
    const args = { repositoryArn: "arn:aws:ecr:us-east-1:111122223333:repository/triton" };
    const program = await deploy({ egress: "endpoints" }, { args });
    assert.deepEqual(program.names(ENDPOINT), [
      ...["gpu-ecr.api", "gpu-ecr.dkr", "gpu-s3", "gpu-ssm", "gpu-ssmmessages"],
    ]);
  });

  it("takes services by what their endpoints are called", async () => {
    for (const service of ["com.amazonaws.us-east-1.logs", "Logs"]) {
      await assert.rejects(deploy({}, { args: { services: [service] } }), /services\[0\]: "/);
    }
  });

  describe("depends on", () => {
    const ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation";
    const WAYS: Readonly<Record<string, readonly string[]>> = {
      natGateway: [`${ROUTE} gpu-out`, `${ROUTE} gpu-out-ipv6`, `${ENDPOINT} gpu-s3`],
      endpoints: ["gpu-s3", "gpu-ssm", "gpu-ssmmessages"].map((name) => `${ENDPOINT} ${name}`),
    };

    for (const preview of [true, false]) {
      it(`each way out of its network, as does its place, and so goes before them${preview ? ", in a preview" : ""}`, async () => {
        for (const [egress, ways] of Object.entries(WAYS)) {
          const dependencies = await dependenciesIn({ egress }, { preview });
          for (const dependent of [`${INSTANCE} gpu-instance`, "command:local:Command gpu-place"]) {
            const needed = dependencies.get(dependent) ?? [];
            for (const way of [...ways, ...ZONES.map((zone) => `${ASSOCIATION} gpu-private-${zone}`)]) {
              assert.ok(needed.includes(way), `${dependent} on ${way}`);
            }
          }
        }
      });
    }

    it("the internet, where that is a NAT gateway", async () => {
      const dependencies = await dependenciesIn({ egress: "natGateway" });
      const internet = "aws:ec2/internetGateway:InternetGateway gpu-internet";
      const nat = dependencies.get("aws:ec2/natGateway:NatGateway gpu-nat") ?? [];
      for (const each of [internet, `${ROUTE} gpu-public`, `${ASSOCIATION} gpu-public-us-east-1b`]) {
        assert.ok(nat.includes(each), each);
      }
      assert.ok(dependencies.get("aws:ec2/eip:Eip gpu-nat-address")?.includes(internet));
    });
  });

  it("is chosen a place for by its subnets, and again if the network changes", async () => {
    const program = await deploy({ cidr: "10.8.0.0/20" });
    const { environment } = program.inputs("command:local:Command", "gpu-place") as {
      environment: { readonly SUBNETS: string; readonly LAUNCH: string };
    };
    assert.deepEqual(JSON.parse(environment.SUBNETS), {
      "us-east-1b": "gpu-private-us-east-1b-id",
      "us-east-1a": "gpu-private-us-east-1a-id",
    });
    assert.deepEqual(JSON.parse(environment.LAUNCH), { publicIp: false, network: "10.8.0.0/20" });
  });

  it("asks for endpoints by the names that they have in each part of AWS", async () => {
    const args = { services: ["ecr.api", "ecr.dkr", "logs", "monitoring"] };
    const names = async (region: string, partition: string, reverseDnsPrefix: string): Promise<string[]> => {
      const part = { partition, dnsSuffix: "", reverseDnsPrefix };
      const zones = [`${region}a`];
      const program = await deploy(
        { egress: "endpoints" },
        { args: { ...args, zones }, zone: `${region}a`, region, partition: part },
      );
      return program.names(ENDPOINT).map((name) => String(program.inputs(ENDPOINT, name).serviceName));
    };
    const usual = (region: string): string[] =>
      ["ecr.api", "ecr.dkr", "logs", "monitoring", "s3", "ssm", "ssmmessages"].map(
        (service) => `com.amazonaws.${region}.${service}`,
      );
    assert.deepEqual(await names("us-east-1", "aws", "com.amazonaws"), usual("us-east-1"));
    assert.deepEqual(await names("us-gov-west-1", "aws-us-gov", "com.amazonaws"), usual("us-gov-west-1"));
    assert.deepEqual(
      await names("cn-north-1", "aws-cn", "cn.com.amazonaws"),
      usual("cn-north-1").map((name) => (/ecr|monitoring/.test(name) ? `cn.${name}` : name)),
    );
  });
});

describe("a stack in a network of its own", () => {
  const deployed = async (settings: object): Promise<Recording> =>
    record(
      true,
      () => ({}),
      async () => {
        const { TritonStack } = await import("../../../components");
        new TritonStack("triton", {
          host: {
            ...{ kind: "aws", instanceType: "g5.xlarge", access: "sessionManager", zones: ZONES },
            network: { kind: "own", egress: "endpoints" },
          },
          runtime: { kind: "container", build: {} },
          ...settings,
        });
      },
    );

  it("has endpoints for what it uses, and for nothing else", async () => {
    const services = async (settings: object): Promise<string[]> =>
      (await deployed(settings)).names(ENDPOINT).map((name) => name.replace("triton-machine-", ""));
    const container = ["ecr.api", "ecr.dkr", "s3", "ssm", "ssmmessages"];
    assert.deepEqual(await services({}), container);
    const monitoring = { kind: "cloudwatch", notify: ["ops@example.com"] };
    assert.deepEqual(await services({ monitoring }), [...container, "logs", "monitoring"].sort());
  });
});
