import * as pulumi from "@pulumi/pulumi";

/** What S3, or the way to it, has answered, as one message with a fix; never with a credential in it. */
export function s3Fault(source: string, bucket: string, error: unknown): pulumi.RunError {
  const [what, fix] = explain(bucket, error);
  return new pulumi.RunError(`${source}: ${what}\n  fix: ${fix}`);
}

function explain(bucket: string, error: unknown): readonly [what: string, fix: string] {
  const { name, message, code, status } = parts(error);
  switch (name) {
    case "NoSuchBucket":
      return [`there is no bucket ${bucket}`, "correct the model's source, or create the bucket"];
    case "AccessDenied":
    case "Forbidden":
    case "AllAccessDisabled":
      return [
        `S3 denies access to the bucket ${bucket}`,
        `let the credentials of this machine list and read it (s3:ListBucket, s3:GetObject); aws sts get-caller-identity shows whose they are`,
      ];
    case "CredentialsProviderError":
      return ["this machine has no AWS credentials", "aws configure, or set AWS_PROFILE or aws:profile"];
    case "ExpiredToken":
    case "ExpiredTokenException":
      return ["the AWS credentials of this machine have expired", "aws sso login, or renew them"];
    case "InvalidAccessKeyId":
    case "SignatureDoesNotMatch":
    case "InvalidToken":
      return [
        `AWS does not accept the credentials of this machine (${name})`,
        "correct AWS_PROFILE or the keys",
      ];
  }
  if (code !== undefined) {
    return [`S3 cannot be reached (${code})`, "check the network, and AWS_ENDPOINT_URL if it is set"];
  }
  if (status === 403) return explain(bucket, { name: "AccessDenied" });
  return [
    `S3 answers ${name}: ${message}`,
    "see the message; aws s3 ls shows whether it is S3 or this program",
  ];
}

function parts(error: unknown): { name: string; message: string; code?: string; status?: number } {
  const { name, message, code, $metadata } = (error ?? {}) as {
    name?: unknown;
    message?: unknown;
    code?: unknown;
    $metadata?: { httpStatusCode?: number };
  };
  return {
    name: typeof name === "string" ? name : "Error",
    message: typeof message === "string" ? message : String(error),
    ...(typeof code === "string" && /^E[A-Z_]+$/.test(code) && { code }),
    ...($metadata?.httpStatusCode !== undefined && { status: $metadata.httpStatusCode }),
  };
}
