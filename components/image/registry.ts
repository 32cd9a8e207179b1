/** Address of the registry that an image or a repository is in. */
export function registryOf(reference: string): string {
  const [first = "", ...rest] = reference.split("/");
  const isAddress = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  return isAddress ? first : "docker.io";
}

/** An image's repository, without tag and digest. */
export function repositoryOf(reference: string): string {
  const name = reference.split("@")[0] ?? "";
  return name.replace(/:[^:/]*$/, "");
}
