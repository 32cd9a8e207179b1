import type { Fault } from "../components/settings";
import type { Property } from "./property";

/** A resource of a program, whoever wrote it. */
export interface Resource {
  /** Such as `aws:ec2/instance:Instance`. */
  readonly type: string;
  readonly name: string;
  readonly props: Property;
}

/** Finds what a resource must not be. */
export type Check = (resource: Resource) => readonly Fault[];

/** A resource of a stack that can be seen whole. */
export interface StackResource extends Resource {
  readonly urn: string;
  /** URNs of the resources that a property comes from. */
  readonly comesFrom: Readonly<Record<string, readonly string[]>>;
}

/** A fault and the resource that has it. */
export interface StackFault {
  readonly urn: string;
  readonly fault: Fault;
}

/** Whether a property refers to another resource: by a value that both have, or, while it is unknown, by its origin. */
export function refersTo(
  resource: StackResource,
  key: string,
  other: StackResource,
  otherKey: string,
): boolean {
  const [value, theirs] = [resource.props.field(key).text, other.props.field(otherKey).text];
  if (value !== "" && theirs !== "") return value === theirs;
  return resource.comesFrom[key]?.includes(other.urn) ?? false;
}
