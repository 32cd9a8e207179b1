// Pulumi compiles a policy pack with its own options, which include only an older library.
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

/** A policy with one check that looks at a single resource. */
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
            description: "Ports that may be open to the internet.",
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
      "The metadata service requires a token and does not answer containers.",
      metadataService,
    ),
    policy(
      "encryption",
      "Disks, images and secrets are encrypted, and image tags are immutable.",
      encryption,
    ),
    policy("supported-gpu", "An instance has a GPU that Triton supports.", supportedGpu),
    policy("tags", "Every resource carries project and stack tags.", missingTags),
    policy("no-secret-in-user-data", "User data contains no key.", secretInUserData),
    policy(
      "least-privilege",
      "A role's policy names its actions and never allows a whole service.",
      broadPolicy,
    ),
    {
      name: "private-buckets",
      description: "Buckets are private, encrypted and TLS-only.",
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
