/** A cluster of EKS, as it is reached. */
export interface EksEndpoint {
  readonly name: string;
  readonly region: string;
  /** URL of its API server. */
  readonly endpoint: string;
  /** Certificate of its authority, in base64. */
  readonly certificateAuthority: string;
}

/**
 * What `aws eks update-kubeconfig` would write. It has no secret: whoever uses it asks the AWS CLI for a token, with their
 * own credentials. https://docs.aws.amazon.com/eks/latest/userguide/create-kubeconfig.html
 */
export function kubeconfigOf({ name, region, endpoint, certificateAuthority }: EksEndpoint): string {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1beta1",
    command: "aws",
    args: ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
    interactiveMode: "Never",
  };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: endpoint, "certificate-authority-data": certificateAuthority } }],
    users: [{ name, user: { exec } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
