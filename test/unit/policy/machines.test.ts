import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";

import type { Fault } from "../../../components/settings";
import { metadataService, publicAddress, secretInUserData, supportedGpu } from "../../../policy/machines";
import type { Resource } from "../../../policy/resource";
import { encryption } from "../../../policy/storage";
import { PRIVATE_KEY } from "../settings/context";
import { inPreview, LATER } from "./preview";
import { defineCases, resource } from "./resources";

const instance = (props: object): Resource => resource("aws:ec2/instance:Instance", props);
const spot = (props: object): Resource => resource("aws:ec2/spotInstanceRequest:SpotInstanceRequest", props);
const template = (props: object): Resource => resource("aws:ec2/launchTemplate:LaunchTemplate", props);
const configuration = (props: object): Resource =>
  resource("aws:ec2/launchConfiguration:LaunchConfiguration", props);
const spotFleet = (...launchSpecifications: object[]): Resource =>
  resource("aws:ec2/spotFleetRequest:SpotFleetRequest", { launchSpecifications });

const LOCKED = { httpTokens: "required", httpPutResponseHopLimit: 1 };
const NEITHER = [
  "metadataOptions.httpTokens: (not set)",
  "metadataOptions.httpPutResponseHopLimit: (not set)",
];
const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");

describe("imdsv2", () => {
  defineCases(metadataService, [
    ["an instance as AWS makes it", instance({}), NEITHER],
    ["a spot request as AWS makes it", spot({}), NEITHER],
    ["a launch template as AWS makes it", template({}), NEITHER],
    ["a launch configuration as AWS makes it", configuration({}), NEITHER],
    [
      "access from containers",
      instance({ metadataOptions: { ...LOCKED, httpPutResponseHopLimit: 2 } }),
      ["metadataOptions.httpPutResponseHopLimit: 2"],
    ],
    [
      "a template whose tokens are optional",
      template({ metadataOptions: { ...LOCKED, httpTokens: "optional" } }),
      ['metadataOptions.httpTokens: "optional"'],
    ],
    [
      "a spot fleet's own launches, which cannot require tokens",
      spotFleet({ instanceType: "g5.xlarge" }),
      ["launchSpecifications[0]: instances whose metadata service answers without a token"],
    ],
    ["a spot fleet of templates", resource("aws:ec2/spotFleetRequest:SpotFleetRequest", {}), []],
    ...[instance, spot, template, configuration].map(
      (make) => ["what requires tokens", make({ metadataOptions: LOCKED }), []] as const,
    ),
    ["a metadata service that is off", instance({ metadataOptions: { httpEndpoint: "disabled" } }), []],
    ["what a preview does not know yet", instance(inPreview({ metadataOptions: LATER })), []],
  ]);
});

describe("encryption", () => {
  const root = { rootBlockDevice: { encrypted: true } };
  const mapping = (encrypted: unknown): object => ({ deviceName: "/dev/sda1", ebs: { encrypted } });
  defineCases(encryption, [
    ["a root disk as the image has it", instance({}), ["rootBlockDevice.encrypted: (not set)"]],
    [
      "a second disk",
      instance({ ...root, ebsBlockDevices: [{ encrypted: true }, { encrypted: false }] }),
      ["ebsBlockDevices[1].encrypted: false"],
    ],
    ["encrypted disks", instance({ ...root, ebsBlockDevices: [{ encrypted: true }] }), []],
    ["a spot request's disk", spot({}), ["rootBlockDevice.encrypted: (not set)"]],
    ["a spot request's encrypted disk", spot(root), []],
    ["a launch configuration's disk", configuration({}), ["rootBlockDevice.encrypted: (not set)"]],
    ["a template without disks", template({}), ["blockDeviceMappings.ebs.encrypted: (not set)"]],
    [
      "a template's disk, whose switch is a string",
      template({ blockDeviceMappings: [mapping("true"), mapping("false")] }),
      ['blockDeviceMappings[1].ebs.encrypted: "false"'],
    ],
    [
      "a template's encrypted disk beside what is no disk of EBS",
      template({
        blockDeviceMappings: [
          mapping("true"),
          { deviceName: "/dev/sdb", virtualName: "ephemeral0" },
          { deviceName: "/dev/sdc", noDevice: "" },
        ],
      }),
      [],
    ],
    [
      "a spot fleet's disks",
      spotFleet({ rootBlockDevices: [{ encrypted: true }], ebsBlockDevices: [{}] }),
      ["launchSpecifications[0].ebsBlockDevices[0].encrypted: (not set)"],
    ],
    ["a spot fleet's encrypted disk", spotFleet({ rootBlockDevices: [{ encrypted: true }] }), []],
    ["what a preview does not know yet", instance(inPreview({ rootBlockDevice: { encrypted: LATER } })), []],
    ["a volume", resource("aws:ebs/volume:Volume", {}), ["encrypted: (not set)"]],
    ["an encrypted volume", resource("aws:ebs/volume:Volume", { encrypted: true }), []],
    [
      "a registry as AWS makes it",
      resource("aws:ecr/repository:Repository", { imageTagMutability: "MUTABLE" }),
      [
        "encryptionConfigurations: (not set)",
        'imageTagMutability: "MUTABLE"',
        "imageScanningConfiguration.scanOnPush: (not set)",
      ],
    ],
    [
      "a registry that is encrypted, immutable and scanned",
      resource("aws:ecr/repository:Repository", {
        encryptionConfigurations: [{ encryptionType: "AES256" }],
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
      }),
      [],
    ],
    [
      "a secret in a plain parameter",
      resource("aws:ssm/parameter:Parameter", { name: "/x/ssh-host-key", type: "String" }),
      ['type: "String"'],
    ],
    [
      "a plain parameter that is no secret",
      resource("aws:ssm/parameter:Parameter", { name: "/x/region", type: "String" }),
      [],
    ],
  ]);
});

describe("no-public-address", () => {
  defineCases(publicAddress, [
    [
      "an instance with one",
      instance({ associatePublicIpAddress: true }),
      ["associatePublicIpAddress: true"],
    ],
    ["an instance without", instance({ associatePublicIpAddress: false }), []],
    ["an instance that says nothing, and may have an address of its own", instance({}), []],
    ["a spot request", spot({ associatePublicIpAddress: true }), ["associatePublicIpAddress: true"]],
    [
      "a template's second interface, whose switch is a string",
      template({ networkInterfaces: [{}, { associatePublicIpAddress: "true" }] }),
      ['networkInterfaces[1].associatePublicIpAddress: "true"'],
    ],
    [
      "a template's private interface",
      template({ networkInterfaces: [{ associatePublicIpAddress: "false" }] }),
      [],
    ],
    [
      "a spot fleet",
      spotFleet({ associatePublicIpAddress: true }),
      ["launchSpecifications[0].associatePublicIpAddress: true"],
    ],
  ]);
});

describe("supported-gpu", () => {
  const overrides = [{ overrides: [{ instanceType: "g5.xlarge" }, { instanceType: "c5.xlarge" }] }];
  const none = "has no NVIDIA GPU that Triton supports";
  defineCases(supportedGpu, [
    ["T4", instance({ instanceType: "g4dn.xlarge" }), []],
    ["A10G", instance({ instanceType: "g5.xlarge" }), []],
    ["A100", template({ instanceType: "p4d.24xlarge" }), []],
    ["no GPU", instance({ instanceType: "t3.micro" }), [`instanceType: t3.micro ${none}`]],
    ["AMD's", instance({ instanceType: "g4ad.xlarge" }), ["instanceType: g4ad.xlarge has AMD GPUs"]],
    ["a template without a GPU", template({ instanceType: "t3.micro" }), [`instanceType: t3.micro ${none}`]],
    ["a spot request without a GPU", spot({ instanceType: "t3.micro" }), [`instanceType: t3.micro ${none}`]],
    [
      "another type of a fleet",
      resource("aws:ec2/fleet:Fleet", { launchTemplateConfigs: overrides }),
      [`launchTemplateConfigs[0].overrides[1].instanceType: c5.xlarge ${none}`],
    ],
    [
      "another type of a scaling group",
      resource("aws:autoscaling/group:Group", { mixedInstancesPolicy: { launchTemplate: overrides[0] } }),
      [`mixedInstancesPolicy.launchTemplate.overrides[1].instanceType: c5.xlarge ${none}`],
    ],
    ["a type that a preview does not know yet", instance(inPreview({ instanceType: LATER })), []],
  ]);
});

describe("no-secret-in-user-data", () => {
  const found = (path: string): string[] => [`${path}: contains a key`];
  const cloudConfig = (content: string | Buffer, encoding: string): string =>
    `#cloud-config\nwrite_files:\n- encoding: ${encoding}\n  content: ${base64(content)}\n  path: /root/key\n`;
  defineCases(secretInUserData, [
    ["a private key", instance({ userData: PRIVATE_KEY }), found("userData")],
    ["one in Base64", instance({ userDataBase64: base64(PRIVATE_KEY) }), found("userDataBase64")],
    ["one in a template, which takes Base64", template({ userData: base64(PRIVATE_KEY) }), found("userData")],
    ["one of a spot request", spot({ userData: PRIVATE_KEY }), found("userData")],
    ["one of a spot fleet", spotFleet({ userData: PRIVATE_KEY }), found("launchSpecifications[0].userData")],
    [
      "one that is compressed",
      instance({ userDataBase64: base64(gzipSync(PRIVATE_KEY)) }),
      found("userDataBase64"),
    ],
    [
      "one in a file that cloud-init is to write",
      template({ userData: base64(cloudConfig(gzipSync(PRIVATE_KEY), "gz+b64")) }),
      found("userData"),
    ],
    [
      "one in Base64 in lines",
      instance({ userData: (base64(PRIVATE_KEY).match(/.{1,64}/g) ?? []).join("\n    ") }),
      found("userData"),
    ],
    [
      "a key of AWS in the environment",
      instance({ userData: "#!/bin/sh\nexport AWS_SECRET_ACCESS_KEY=abc\n" }),
      found("userData"),
    ],
    ["a key of a session", instance({ userData: "key: ASIAABCDEFGHIJKLMNOP" }), found("userData")],
    ["a cloud config", instance({ userData: cloudConfig("plain text of a file, and no key", "b64") }), []],
    ["a public key", template({ userData: base64("ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1]") }), []],
  ]);

  it("does not show the key", () => {
    const faults: readonly Fault[] = secretInUserData(instance({ userData: PRIVATE_KEY }));
    assert.doesNotMatch(JSON.stringify(faults), /BEGIN/);
  });
});
