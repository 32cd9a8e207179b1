// Pulumi compiles a policy pack with its own options, which include only an older library.
/// <reference lib="es2023" />

import {
  PolicyPack,
  type PolicyResource,
  type ResourceValidationArgs,
  type ResourceValidationPolicy,
  type StackValidationArgs,
  type StackValidationPolicy,
} from "@pulumi/policy";

import { type Fault, listFaults } from "../components/settings";
import { broadPermissions, type KnownPermissions, openToEveryone } from "./iam";
import { metadataService, publicAddress, secretInUserData, supportedGpu } from "./machines";
import { plainGateways, plainListeners, plainTritonGateways, publicIngress } from "./network";
import { propertiesOf } from "./property";
import type { Check, Resource, StackFault, StackResource } from "./resource";
import { encryption, openBuckets } from "./storage";
import { missingTags } from "./tags";

/** What makes a policy of checks. The engine names the resource in front of a message. */
interface Shape {
  readonly name: string;
  readonly description: string;
  readonly configSchema?: ResourceValidationPolicy["configSchema"];
}

function messageOf(fault: Fault): string {
  return listFaults([fault]).trim();
}

/** A policy that looks at one resource at a time, before it is created or changed. */
function ofResource<Config extends object = object>(
  shape: Shape,
  check: (resource: Resource, config: Partial<Config>) => ReturnType<Check>,
): ResourceValidationPolicy {
  return {
    ...shape,
    enforcementLevel: "mandatory",
    validateResource: (args: ResourceValidationArgs, report) => {
      const resource = { type: args.type, name: args.name, props: propertiesOf(args.props) };
      for (const fault of check(resource, args.getConfig<Partial<Config>>())) report(messageOf(fault));
    },
  };
}

/** A policy that looks at resources together, at the end of a preview and of an update. */
function ofStack<Config extends object = object>(
  shape: Shape,
  check: (resources: readonly StackResource[], config: Partial<Config>) => readonly StackFault[],
): StackValidationPolicy {
  return {
    ...shape,
    enforcementLevel: "mandatory",
    validateStack: (args: StackValidationArgs, report) => {
      const known = args.resources.map(stackResource);
      for (const { urn, fault } of check(known, args.getConfig<Partial<Config>>()))
        report(messageOf(fault), urn);
    },
  };
}

function stackResource({ type, name, urn, props, propertyDependencies }: PolicyResource): StackResource {
  const comesFrom = Object.entries(propertyDependencies).map(
    ([key, origins]) => [key, origins.map((origin) => origin.urn)] as const,
  );
  return { type, name, urn, props: propertiesOf(props), comesFrom: Object.fromEntries(comesFrom) };
}

const ports = (description: string, byDefault: number[]) =>
  ({
    type: "array",
    items: { type: "integer", minimum: 1, maximum: 65535 },
    default: byDefault,
    description,
  }) as const;

const texts = (description: string) =>
  ({ type: "array", items: { type: "string" }, default: [], description }) as const;

/** TLS ends behind a load balancer where HTTPS is expected. */
const PASS_THROUGH = [443];

const PASS_THROUGH_SCHEMA = {
  properties: {
    passThroughPorts: ports("Ports on which a load balancer passes TLS on to its target.", PASS_THROUGH),
  },
};

new PolicyPack("xsched-triton", {
  policies: [
    ofResource<{ publicPorts: number[] }>(
      {
        name: "no-public-ingress",
        description: "Nothing is open to the internet by accident.",
        configSchema: { properties: { publicPorts: ports("Ports that may be open to the internet.", []) } },
      },
      (resource, { publicPorts = [] }) => publicIngress(resource, publicPorts),
    ),
    ofResource(
      { name: "no-public-address", description: "An instance gets no public address as it is launched." },
      publicAddress,
    ),
    ofResource(
      {
        name: "imdsv2",
        description: "The metadata service requires a token and does not answer containers.",
      },
      metadataService,
    ),
    ofResource(
      {
        name: "encryption",
        description: "Disks, images and secrets are encrypted, and image tags are immutable.",
      },
      encryption,
    ),
    ofResource(
      { name: "supported-gpu", description: "An instance has a GPU that Triton supports." },
      supportedGpu,
    ),
    ofResource({ name: "tags", description: "Every resource carries project and stack tags." }, missingTags),
    ofResource(
      { name: "no-secret-in-user-data", description: "User data contains no key." },
      secretInUserData,
    ),
    ofResource<KnownPermissions>(
      {
        name: "least-privilege",
        description: "Permissions name their actions and resources, and AWS's own policies are not attached.",
        configSchema: {
          properties: {
            unscopedActions: texts("Actions that know no resource, so that they may be allowed on all."),
            managedPolicies: texts("ARNs of managed policies that may be attached."),
          },
        },
      },
      (resource, { unscopedActions = [], managedPolicies = [] }) =>
        broadPermissions(resource, { unscopedActions, managedPolicies }),
    ),
    ofResource(
      {
        name: "no-public-policy",
        description:
          "Policies of buckets, repositories, roles and the like let in only callers that they name.",
      },
      openToEveryone,
    ),
    ofResource<{ passThroughPorts: number[]; gatewaysBehindTls: string[] }>(
      {
        name: "tls-only",
        description: "What the internet can reach has TLS.",
        configSchema: {
          properties: {
            ...PASS_THROUGH_SCHEMA.properties,
            gatewaysBehindTls: texts("Names of Triton's gateways before which a load balancer ends TLS."),
          },
        },
      },
      (resource, { passThroughPorts = PASS_THROUGH, gatewaysBehindTls = [] }) => [
        ...plainGateways(resource, passThroughPorts),
        ...plainTritonGateways(resource, gatewaysBehindTls),
      ],
    ),
    ofStack<{ passThroughPorts: number[] }>(
      {
        name: "tls-only-listeners",
        description: "Listeners of load balancers that the internet can reach have TLS.",
        configSchema: PASS_THROUGH_SCHEMA,
      },
      (resources, { passThroughPorts = PASS_THROUGH }) => plainListeners(resources, passThroughPorts),
    ),
    ofStack(
      { name: "private-buckets", description: "Buckets are private, encrypted and TLS-only." },
      openBuckets,
    ),
  ],
});
