// Prints the digest of the image $IMAGE, as JSON. A tag is looked up with Docker's client, which knows the user's logins,
// mirrors and certificates. What an earlier run has found stays: a tag that has moved meanwhile must not change what a
// deployment builds from. It is looked up again when $IMAGE or $AS_OF changes.
"use strict";

const { spawnSync } = require("node:child_process");

const { IMAGE: image = "", AS_OF: asOf = "", PULUMI_COMMAND_STDOUT: earlier = "" } = process.env;

/** Docker's client requires TLS even for a registry on this machine, unlike its engine and BuildKit. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?\//;

function fail(problem) {
  const name = image.replace(/:[^:/]*$/, "");
  console.error(
    `error: the digest of the image ${image} cannot be looked up: ${problem}\n` +
      `fix: check its name, whether this machine reaches its registry, and the log-in (docker login), or give its digest: ${name}@sha256:…`,
  );
  process.exit(1);
}

/** What an earlier run has printed, if it was for the same image. */
function found() {
  try {
    const pinned = JSON.parse(earlier);
    return pinned.image === image && pinned.asOf === asOf ? pinned.digest : undefined;
  } catch {
    return undefined;
  }
}

function lookUp() {
  const insecure = LOOPBACK.test(image) ? ["--insecure"] : [];
  const { status, stdout, stderr, error } = spawnSync(
    "docker",
    ["manifest", "inspect", "--verbose", ...insecure, image],
    { encoding: "utf8", maxBuffer: 64 * 1024 * 1024, stdio: ["ignore", "pipe", "pipe"] },
  );
  if (error?.code === "ENOENT") fail("Docker's client is not installed on this machine");
  if (error) fail(error.message);
  if (status !== 0) fail(stderr.trim().split("\n").at(-1));
  // One manifest, or one for each platform.
  const manifests = [JSON.parse(stdout)].flat().map(({ Descriptor }) => Descriptor);
  const fits = ({ platform }) => platform?.os === "linux" && platform?.architecture === "amd64";
  const digest = (manifests.length === 1 ? manifests[0] : manifests.find(fits))?.digest;
  if (!/^sha256:[0-9a-f]{64}$/.test(digest ?? "")) fail("it is not there for linux/amd64");
  return digest;
}

const digest = image.split("@")[1] ?? found() ?? lookUp();
process.stdout.write(JSON.stringify({ image, asOf, digest }));
