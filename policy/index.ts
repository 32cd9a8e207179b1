// Pulumi compiles a policy pack by options of its own, which know an older library only.
/// <reference lib="es2023" />

import { PolicyPack, type ResourceValidationPolicy } from "@pulumi/policy";

import {
  broadPolicy,
  encryption,
  metadataService,
  missingTags,
  openBuckets,
  publicIngress,
  type Resource,
  secretInUserData,
  supportedGpu,
  type Violations,
} from "./checks";

/** A policy of one check that needs no other resource. */
function policy(
  name: string,
  description: string,
  check: (resource: Resource) => Violations,
): ResourceValidationPolicy {
  return {
    name,
    description,
    enforcementLevel: "mandatory",
    validateResource: ({ type, name: resource, props }, report) => {
      for (const violation of check({ type, name: resource, props })) report(violation);
    },
  };
}

new PolicyPack("xsched-triton", {
  policies: [
    {
      name: "no-public-ingress",
      description: "Nothing is open to the internet by accident.",
      enforcementLevel: "mandatory",
      configSchema: {
        properties: {
          publicPorts: {
            type: "array",
            items: { type: "integer", minimum: 1, maximum: 65535 },
            default: [],
            description: "Ports that are meant to be open to the internet.",
          },
        },
      },
      validateResource: (args, report) => {
        const { publicPorts = [] } = args.getConfig<{ publicPorts?: number[] }>();
        const { type, name, props } = args;
        for (const violation of publicIngress({ type, name, props }, publicPorts)) report(violation);
      },
    },
    policy(
      "imdsv2",
      "An instance's credentials need a token, and containers do not get them.",
      metadataService,
    ),
    policy(
      "encryption",
      "Disks, images and secrets are encrypted, and an image's tag never moves.",
      encryption,
    ),
    policy("supported-gpu", "An instance has a GPU that Triton supports.", supportedGpu),
    policy("tags", "Everything says which project and stack it is of.", missingTags),
    policy("no-secret-in-user-data", "User data holds no key.", secretInUserData),
    policy("least-privilege", "A role may do what its policy names, and no whole service.", broadPolicy),
    {
      name: "private-buckets",
      description: "Buckets are private, encrypted, and reached over TLS only.",
      enforcementLevel: "mandatory",
      validateStack: ({ resources }, report) => {
        const known = resources.map(({ type, name, props }) => ({
          type,
          name,
          props: props as Resource["props"],
        }));
        for (const { name, message } of openBuckets(known)) report(`${name}: ${message}`);
      },
    },
  ],
});
