/** Where an image or a repository on ECR is. */
export interface EcrLocation {
  readonly region: string;
  /** Name of the repository. */
  readonly name: string;
}

/**
 * Where an image or a repository is on ECR; undefined if it is elsewhere.
 * https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
 */
export function ecrLocation(reference: string): EcrLocation | undefined {
  const [, region, name] =
    /^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.(?:com|com\.cn|eu)\/([^:@]+)/.exec(reference) ?? [];
  return region === undefined || name === undefined ? undefined : { region, name };
}
